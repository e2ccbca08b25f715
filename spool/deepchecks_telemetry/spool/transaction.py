"""One write transaction, or none of it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from deepchecks_telemetry.spool.patience import patiently


@contextmanager
def writing(connection: sqlite3.Connection, deadline: float) -> Iterator[None]:
    """One write transaction, or none of it.

    `BEGIN IMMEDIATE`: a deferred one that upgrades fails at once with "database is locked", whatever the timeout.
    """
    # SQLite's own handler sleeps up to 100 ms a time and, against eight programs that record in loops, fails in 5 s.
    connection.execute("PRAGMA busy_timeout = 0")
    patiently(lambda: connection.execute("BEGIN IMMEDIATE"), deadline)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled it back already
            connection.execute("ROLLBACK")
        raise
