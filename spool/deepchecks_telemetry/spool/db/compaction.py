"""Folding and checkpointing: raw events become counts, the WAL becomes short; the only place of both."""

import sqlite3
from contextlib import suppress

from deepchecks_telemetry.spool.db.busy import HOST_TRIES, monotonic, retry_while_busy, writing
from deepchecks_telemetry.spool.db.schema_guard import HOST_VM_STEPS, limit_vm_steps
from deepchecks_telemetry.spool.errors import Busy
from deepchecks_telemetry.spool.files.lock import hold_in_host
from deepchecks_telemetry.spool.files.paths import Home

# SQLite waits for readers with the write lock held: without, it finds one among writers in tight loops nearly every
# time and the WAL grows; with the patience of a command, a forgotten reader would make all hosts wait.
CHECKPOINT_WAIT_MS = 10
COMPACT_DEADLINE_S = 0.05  # in the host; whoever comes by a thousand events later tries again


def fold(connection: sqlite3.Connection) -> None:
    """Turn the raw events into counts; inside a write transaction of the caller's.

    The last event stays as an empty row, so that ids go on from it and the largest id remains the count of all.
    """
    (last,) = connection.execute("SELECT max(id) FROM events").fetchone()
    if last is None:
        return
    connection.execute(
        "INSERT INTO folded (day, event, environment, count) "
        "SELECT day, event, environment, count(*) FROM events WHERE event > 0 AND id <= ? "
        "GROUP BY 1, 2, 3 ON CONFLICT DO UPDATE SET count = count + excluded.count",
        (last,),
    )
    connection.execute("DELETE FROM events WHERE id < ?", (last,))
    connection.execute("UPDATE events SET day = 0, event = 0, environment = 0 WHERE id = ?", (last,))


def checkpoint(connection: sqlite3.Connection) -> bool:
    """Move the WAL into the database and cut it to nothing; False (no error) where a reader was in the way."""
    (patience_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {CHECKPOINT_WAIT_MS}")
    try:
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience_ms}")
    return not busy


def compact(home: Home, connection: sqlite3.Connection) -> bool:
    """Fold and checkpoint now; False (never an error) where somebody else is at it, or a lock in the way."""
    deadline = monotonic() + COMPACT_DEADLINE_S
    limit_vm_steps(connection, HOST_VM_STEPS)
    with suppress(Busy), hold_in_host(home.lock):
        with writing(connection, deadline, tries=HOST_TRIES):
            fold(connection)
        # Among writers in tight loops the first try finds one of them at it, as a rule, and the WAL would grow.
        retry_while_busy(lambda: _cut(connection), deadline, tries=HOST_TRIES)
        return True
    return False


def _cut(connection: sqlite3.Connection) -> None:
    if not checkpoint(connection):
        raise Busy("another process is reading the spool")


def add_tally(connection: sqlite3.Connection, name: str, count: int) -> None:
    """Add to one of the totals that outlive the rows they were counted from."""
    if not count:
        return
    connection.execute(
        "INSERT INTO tallies (name, count) VALUES (?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        (name, count),
    )
