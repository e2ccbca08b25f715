"""Waiting for SQLite's locks: short jittered pauses under one deadline, and write transactions that wait that way."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from deepchecks_telemetry.spool.db.schema import is_busy
from deepchecks_telemetry.spool.errors import Busy

Result = TypeVar("Result")

# The back-off between two tries. SQLite's busy handler sleeps 1 to 100 ms: its tail is 5 to 15 times worse.
SHORTEST_S, LONGEST_S = 0.00005, 0.001


def patiently(act: "Callable[[], Result]", deadline: float) -> "Result":
    """Call `act` until no lock stands in its way, or raise `Busy` at `deadline` (of `time.monotonic`)."""
    while True:
        try:
            return act()
        except (sqlite3.OperationalError, Busy) as error:
            if not isinstance(error, Busy) and not is_busy(error):
                raise
            if time.monotonic() >= deadline:
                raise Busy("the spool is locked by another process") from error
        # `random` would cost its import; one byte is jitter enough.
        time.sleep(SHORTEST_S + (LONGEST_S - SHORTEST_S) * os.urandom(1)[0] / 255)


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
