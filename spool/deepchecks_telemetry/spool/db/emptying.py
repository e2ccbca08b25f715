"""Closes the fence, and deletes every row so that no byte of it stays in the database or its WAL."""

import sqlite3
import time

from deepchecks_telemetry.spool.db.busy import monotonic, writing
from deepchecks_telemetry.spool.db.compaction import add_tally, checkpoint, fold
from deepchecks_telemetry.spool.db.connection import BUSY_TIMEOUT_S
from deepchecks_telemetry.spool.errors import Busy
from deepchecks_telemetry.spool.states import FINAL, UNSETTLED, BatchState, in_states

READERS_WAIT_S = 10.0  # a reader in another process prevents the WAL from being truncated
# Tables that a newer version has added are wiped too; `_…` is sqlite-utils' list of applied migrations.
SELECT_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'spool' AND name NOT GLOB '[_]*'"
# Always to a new odd number, so that a host that has read the fence before can never open it again.
CLOSE = "UPDATE spool SET epoch = epoch + 1 + epoch % 2"
COPIED_TALLY = "dropped:copied"
_UNSETTLED = in_states(*UNSETTLED)
_BATCHED = f"SELECT coalesce(sum(events), 0) FROM batches WHERE state IN {_UNSETTLED}"  # noqa: S608


def close_fence(connection: sqlite3.Connection) -> None:
    """Close the fence: from here on no statement of a host stores anything, whatever that host had read before."""
    with writing(connection, monotonic() + BUSY_TIMEOUT_S):
        connection.execute(CLOSE)


def empty_tables(connection: sqlite3.Connection) -> None:
    """Delete all rows, rewrite the file without them, and truncate the WAL; `Busy` if a reader prevents that."""
    for pragma in ("secure_delete = ON", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    with writing(connection, monotonic() + BUSY_TIMEOUT_S):
        for (table,) in connection.execute(SELECT_TABLES).fetchall():
            connection.execute(f"DELETE FROM {table}")  # noqa: S608
        forget_installation(connection)
    connection.execute("VACUUM")
    deadline = monotonic() + READERS_WAIT_S
    while not checkpoint(connection):
        if monotonic() >= deadline:
            raise Busy("another process is reading the spool, so the wiped rows could not be removed from its WAL")
        time.sleep(0.02)


def forget_installation(connection: sqlite3.Connection) -> None:
    """Delete the identifier and the upload schedule: the next record starts a first day under a new identifier."""
    connection.execute(
        "UPDATE spool SET installation = NULL, installed_day = NULL, next_upload = NULL, retry_after = NULL, "
        "failures = 0, endpoint = NULL"
    )


def become_new_installation(connection: sqlite3.Connection) -> None:
    """Drop and count the unsent events of a copied spool, in the caller's transaction."""
    fold(connection)
    (pending,) = connection.execute("SELECT coalesce(sum(count), 0) FROM folded").fetchone()
    (batched,) = connection.execute(_BATCHED).fetchone()
    connection.execute("DELETE FROM folded")
    connection.execute(f"DELETE FROM rows WHERE batch IN (SELECT id FROM batches WHERE state IN {_UNSETTLED})")  # noqa: S608
    connection.execute(
        f"UPDATE batches SET state = '{BatchState.DROPPED}', outcome = 'the spool was copied', packed = x'' "  # noqa: S608
        f"WHERE state IN {_UNSETTLED}"
    )
    add_tally(connection, COPIED_TALLY, int(pending) + int(batched))
    connection.execute("DELETE FROM retry_after")
    forget_installation(connection)


def read_markers(connection: sqlite3.Connection) -> tuple[bytes, ...]:
    """Byte strings that identify the contents of this spool in any file: uids, digests, the installation's id."""
    values = connection.execute(
        "SELECT uid FROM rows UNION SELECT installation FROM spool UNION SELECT sha256 FROM batches"
    )
    # A spool that was edited by hand can contain bytes in any column.
    return tuple(value if isinstance(value, bytes) else str(value).encode() for (value,) in values if value)


def read_receivers(connection: sqlite3.Connection) -> tuple[str, ...]:
    """The endpoints that have received batches, or rejected them."""
    query = f"SELECT DISTINCT endpoint FROM batches WHERE state IN {in_states(*FINAL)} ORDER BY 1"  # noqa: S608
    return tuple(str(endpoint) for (endpoint,) in connection.execute(query) if endpoint)
