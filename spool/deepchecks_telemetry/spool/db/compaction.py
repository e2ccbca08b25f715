"""The only code that folds raw events into counts and checkpoints the WAL."""

import os
import sqlite3
from contextlib import suppress

from deepchecks_telemetry.spool.db.busy import HOST_TRIES, monotonic, retry_while_busy, writing
from deepchecks_telemetry.spool.db.schema_guard import HOST_VM_STEPS, limit_vm_steps
from deepchecks_telemetry.spool.errors import Busy, raise_if_hosts
from deepchecks_telemetry.spool.files.lock import hold_in_host
from deepchecks_telemetry.spool.files.paths import Home

# How long SQLite waits for readers with the write lock held. With no wait it meets a reader nearly every time among
# writers in tight loops, and the WAL grows; with the timeout of a command, a forgotten reader would block all hosts.
CHECKPOINT_WAIT_MS = 5
COMPACT_DEADLINE_S = 0.01  # for each of its two steps in the host; it is tried again some hundred events later
WAL_KEPT_BYTES = 2 * 2**20  # a larger WAL is truncated by the host; twice what one process writes between two folds


def fold(connection: sqlite3.Connection) -> None:
    """Turn the raw events into counts, in the caller's write transaction.

    The last row stays, without its event, so that ids continue from it and the largest id remains the count of all.
    """
    (last,) = connection.execute("SELECT max(id) FROM events").fetchone()
    if last is None:
        return
    connection.execute(
        "INSERT INTO folded (day, event, environment, count) "
        "SELECT day, event, environment, count(*) FROM events WHERE event > 0 "
        "GROUP BY 1, 2, 3 ON CONFLICT DO UPDATE SET count = count + excluded.count"
    )
    connection.execute("DELETE FROM events")  # without WHERE, SQLite frees the pages without reading them
    connection.execute("INSERT INTO events (id, day, event, environment) VALUES (?, 0, 0, 0)", (last,))


def checkpoint(connection: sqlite3.Connection) -> bool:
    """Move the WAL into the database and truncate it; False (not an error) if a reader prevented that."""
    (timeout_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {CHECKPOINT_WAIT_MS}")
    try:
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {timeout_ms}")
    return not busy


def compact(home: Home, connection: sqlite3.Connection) -> bool:
    """Fold and checkpoint; False (never `Busy`) if another process is doing it, or holds a lock."""
    limit_vm_steps(connection, HOST_VM_STEPS)
    with suppress(Busy), hold_in_host(home.lock):
        with writing(connection, monotonic() + COMPACT_DEADLINE_S, tries=HOST_TRIES):
            fold(connection)
        # Two fsyncs, some ms, while others can write. If none has written, the next append overwrites the WAL from its
        # beginning. Not during the checkpoint, because the fold wrote a frame: else SQLite's WAL-reset bug could occur.
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if wal_bytes(home) > WAL_KEPT_BYTES:
            # Among writers in tight loops the first try usually meets one of them.
            retry_while_busy(lambda: _truncate_wal(connection), monotonic() + COMPACT_DEADLINE_S, tries=HOST_TRIES)
        return True
    return False


def wal_bytes(home: Home) -> int:
    """The size of the WAL's file, 0 without one; not truncated, it contains frames that are in the database already."""
    try:
        return os.stat(home.spool + "-wal").st_size
    except OSError as error:
        raise_if_hosts(error)
        return 0


def _truncate_wal(connection: sqlite3.Connection) -> None:
    if not checkpoint(connection):
        raise Busy("another process is reading the spool")


def add_tally(connection: sqlite3.Connection, name: str, count: int) -> None:
    """Add to one of the totals that remain when the rows that they count are deleted."""
    if not count:
        return
    connection.execute(
        "INSERT INTO tallies (name, count) VALUES (?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        (name, count),
    )
