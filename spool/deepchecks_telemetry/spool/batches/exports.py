"""Exported batches are in a file that was listed before it existed, so that `disable` can remove it.

The order matters: `register_export` (path and digest), then the file, then `mark_exported` (the state). After a crash
between them the batches are still sealed; if the file is delivered nevertheless, it has the same uids.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence

from deepchecks_telemetry.spool.batches.export_files import Export, list_export
from deepchecks_telemetry.spool.batches.ledger import UNSETTLED_TALLY, Batch
from deepchecks_telemetry.spool.db.busy import monotonic, writing
from deepchecks_telemetry.spool.db.compaction import add_tally
from deepchecks_telemetry.spool.db.connection import BUSY_TIMEOUT_S, opened
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.states import UNSETTLED, BatchState, in_states

# Exported batches are kept for `export --again` and `flush --exported`. 1,000 events a day from 20 environments,
# exported daily, reach this in 20 years. The whole spool stays far below the size at which it is refused (64 MiB).
MAX_UNSETTLED_BYTES = 16 * 2**20
ROW_BYTES = 100  # of a row in the table `rows`, in addition to the bytes of its batch
MAX_DROPPED = 10_000  # batches of which only the digest is kept, for a late receipt; 200 bytes each

OPEN = "(SELECT epoch % 2 FROM spool) = 0"


def register_export(home: Home, export: Export) -> bool:
    """List a file that is about to be written; False without listing it if `disable` has closed the fence.

    The caller holds `upload.lock`, for which `disable` waits before it removes the listed files.
    """
    with opened(home) as connection:
        if not connection.execute(f"SELECT {OPEN}").fetchone()[0]:
            return False
    list_export(home, export)
    return True


def mark_exported(
    home: Home, chosen: Sequence[Batch], endpoint: str | None = None, *, clock: Callable[[], float] = time.time
) -> Sequence[Batch]:
    """Mark batches as exported, and return those that were marked; one that was settled or wiped meanwhile is not.

    `endpoint` is the configured endpoint if that is a directory. No other target of an export is stored in the spool.
    """
    with opened(home) as connection, writing(connection, monotonic() + BUSY_TIMEOUT_S):
        marked = [batch for batch in chosen if _mark(connection, batch, endpoint, int(clock()))]
        prune_exports(connection)
        return marked


def _mark(connection: sqlite3.Connection, batch: Batch, endpoint: str | None, now: int) -> bool:
    marked = connection.execute(
        "UPDATE batches SET state = ?, outcome = 'exported', tried_at = ?, endpoint = ? "  # noqa: S608
        f"WHERE id = ? AND sha256 = ? AND state IN {in_states(*UNSETTLED)} AND {OPEN}",
        (BatchState.EXPORTED, now, endpoint, batch.id, batch.sha256),
    )
    return marked.rowcount == 1


def prune_exports(connection: sqlite3.Connection) -> None:
    """Drop the oldest exports beyond `MAX_UNSETTLED_BYTES`, in case no receipt ever comes, and count their events."""
    sizes = connection.execute(
        "SELECT id, events, coalesce(length(packed), 0) + ? * rows FROM batches WHERE state = ? ORDER BY id DESC",
        (ROW_BYTES, BatchState.EXPORTED),
    ).fetchall()
    total = 0
    for batch, events, size in sizes:
        total += size
        if total > MAX_UNSETTLED_BYTES:
            _drop(connection, batch, events)
    connection.execute(
        "DELETE FROM batches WHERE id IN (SELECT id FROM batches WHERE state = ? ORDER BY id DESC LIMIT -1 OFFSET ?)",
        (BatchState.DROPPED, MAX_DROPPED),
    )


def _drop(connection: sqlite3.Connection, batch: int, events: int) -> None:
    connection.execute("DELETE FROM rows WHERE batch = ?", (batch,))
    connection.execute(
        "UPDATE batches SET state = ?, outcome = 'no receipt was settled', packed = x'' WHERE id = ?",
        (BatchState.DROPPED, batch),
    )
    add_tally(connection, UNSETTLED_TALLY, events)
