"""Each batch is settled once: its attempt is noted before the request, and its new state and its counts after it."""

import hashlib
import sqlite3
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields

from deepchecks_telemetry.spool.batches.queue import DAMAGED
from deepchecks_telemetry.spool.db.busy import monotonic, writing
from deepchecks_telemetry.spool.db.compaction import add_tally
from deepchecks_telemetry.spool.db.connection import BUSY_TIMEOUT_S, opened
from deepchecks_telemetry.spool.errors import Damaged
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.recovery.maintenance import read_maintained
from deepchecks_telemetry.spool.states import FINAL, STATES, UNSETTLED, BatchState, in_states

MAX_BODY_BYTES = 2**22  # bytes; 1,000 rows of 1,000 environments take 1 MB, and a few KB of gzip can be gigabytes
GZIP_WBITS = 31  # zlib's code for the gzip format
UNSETTLED_TALLY = "dropped:unsettled"
KEPT_BATCHES = 20  # settled batches whose bytes are kept for `sent`, some 30 KB each at most


@dataclass(frozen=True, slots=True)
class Batch:
    """One request: its number in this spool, its state, its bytes, and the outcome. Times are Unix seconds.

    `packed` is the body as gzip, compressed at sealing, so that the stored bytes are sent, also with a later zlib.
    """

    id: int
    state: BatchState
    sealed_at: int
    rows: int
    events: int
    rejected: int
    packed: bytes
    sha256: str
    attempts: int
    tried_at: int | None
    outcome: str | None
    endpoint: str | None

    @property
    def body(self) -> bytes:
        """The request's body before compression; `Damaged` if its digest is not `sha256`."""
        try:
            body = zlib.decompressobj(GZIP_WBITS).decompress(self.packed, MAX_BODY_BYTES)
        except (zlib.error, TypeError):
            body = b""
        if hashlib.sha256(body).hexdigest() != self.sha256:
            raise Damaged(f"the bytes of batch {self.id} do not match its SHA-256")
        return body


@dataclass(frozen=True, slots=True)
class Disposition:
    """The result of a try: the batch's new state, the reason, how many rows were rejected, when to try again.

    `retry_after` is the moment before which `host`, the receiver, asked not to get another request.
    """

    state: BatchState
    outcome: str
    rejected_rows: int = 0
    next_upload: int | None = None
    retry_after: int | None = None
    host: str | None = None


_COLUMNS = ", ".join(column.name for column in fields(Batch))


def batches(home: Home, *, states: tuple[str, ...] = STATES) -> list[Batch]:
    """The batches in one of `states`, oldest first; empty if there is no spool."""
    marks = ", ".join("?" * len(states))
    query = f"SELECT {_COLUMNS} FROM batches WHERE state IN ({marks}) ORDER BY id"  # noqa: S608

    def read(connection: sqlite3.Connection) -> list[Batch]:
        return [Batch(id_, BatchState(state), *rest) for id_, state, *rest in connection.execute(query, states)]

    return read_maintained(home, read, [], check_tables=["batches"])


def read_schedule(home: Home) -> tuple[str | None, int]:
    """The installation, and how many tries failed: with `now`, these determine the time of the next try.

    `read_accounts` would count all events, before each of hundreds of batches.
    """
    with opened(home) as connection:
        installation, failures = connection.execute("SELECT installation, failures FROM spool").fetchone()
        return installation, failures


def mark_attempt(
    home: Home,
    batch: Batch,
    endpoint: str,
    *,
    check: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.time,
) -> bool:
    """Note that `batch` is now being sent; False if it was settled or wiped, or `disable` has closed the fence.

    A batch whose bytes are not those that were sealed is parked instead; it is reported, and the others are sent.
    `check` is called when the write lock is held, for which this may have waited; if it raises, nothing is noted.
    """
    if park_if_damaged(home, batch):
        return False
    with opened(home) as connection, writing(connection, monotonic() + BUSY_TIMEOUT_S):
        check()
        tried = connection.execute(
            "UPDATE batches SET attempts = attempts + 1, tried_at = ?, endpoint = ?, outcome = NULL "  # noqa: S608
            f"WHERE id = ? AND sha256 = ? AND state IN {in_states(*UNSETTLED)} AND (SELECT epoch % 2 FROM spool) = 0",
            (int(clock()), endpoint, batch.id, batch.sha256),
        )
        return tried.rowcount == 1


def park_if_damaged(home: Home, batch: Batch) -> bool:
    """Park a batch whose bytes are not those that were sealed; True if it was parked."""
    try:
        if batch.body:
            return False
    except Damaged:
        pass
    settle(home, batch, Disposition(BatchState.PARKED, DAMAGED), reschedule=False)
    return True


def settle(home: Home, batch: Batch, disposition: Disposition, *, reschedule: bool = True) -> bool:
    """Store the result for `batch`; False without any change if it was already settled or wiped.

    `reschedule=False` is for a result from a receipt, which does not change the schedule of our own requests.
    """
    with opened(home) as connection, writing(connection, monotonic() + BUSY_TIMEOUT_S):
        if not _is_open(connection, batch, disposition.state):
            return False
        rejected = _rejected_events(connection, batch, disposition.rejected_rows)
        connection.execute(
            "UPDATE batches SET state = ?, outcome = ?, rejected = ? WHERE id = ?",
            (disposition.state, disposition.outcome, rejected, batch.id),
        )
        if reschedule:
            _schedule(connection, disposition)
        if disposition.state in FINAL:
            _close(connection, batch, rejected)
        return True


def _is_open(connection: sqlite3.Connection, batch: Batch, wanted: BatchState) -> bool:
    """Whether the batch can get the wanted state; a dropped batch can still be settled by a late receipt."""
    rows = connection.execute("SELECT state FROM batches WHERE (id, sha256) = (?, ?)", (batch.id, batch.sha256))
    (state,) = rows.fetchone() or (None,)
    if state != BatchState.DROPPED:
        return state in UNSETTLED
    return wanted in FINAL and _uncount_dropped(connection, batch.events)


def _uncount_dropped(connection: sqlite3.Connection, events: int) -> bool:
    """Subtract events from those that are counted as dropped; False if there are fewer."""
    values = (events, UNSETTLED_TALLY, events)
    updated = connection.execute("UPDATE tallies SET count = count - ? WHERE name = ? AND count >= ?", values)
    connection.execute("DELETE FROM tallies WHERE name = ? AND count = 0", (UNSETTLED_TALLY,))
    return updated.rowcount == 1


def _rejected_events(connection: sqlite3.Connection, batch: Batch, rows: int) -> int:
    """The number of rejected events: all of them if all rows were rejected, else as few as possible.

    A partial success reports how many rows were rejected, but not which.
    """
    if not rows:
        return 0
    if rows >= batch.rows:
        return batch.events
    counts = connection.execute("SELECT count FROM rows WHERE batch = ? ORDER BY count LIMIT ?", (batch.id, rows))
    fewest: int = sum(count for (count,) in counts)
    return max(rows, fewest)  # the rows of a dropped export are deleted


def _schedule(connection: sqlite3.Connection, disposition: Disposition) -> None:
    failed = disposition.state == BatchState.SEALED
    connection.execute(
        "UPDATE spool SET failures = CASE WHEN ? THEN failures + 1 ELSE 0 END, next_upload = coalesce(?, next_upload)",
        (failed, disposition.next_upload),
    )
    connection.execute("DELETE FROM retry_after WHERE host = ?", (disposition.host,))
    if disposition.retry_after is not None and disposition.host is not None:
        connection.execute("INSERT INTO retry_after VALUES (?, ?)", (disposition.host, disposition.retry_after))


def _close(connection: sqlite3.Connection, batch: Batch, rejected: int) -> None:
    add_tally(connection, "delivered", batch.events - rejected)
    add_tally(connection, "rejected", rejected)
    connection.execute("DELETE FROM rows WHERE batch = ?", (batch.id,))
    final = in_states(*FINAL)
    connection.execute(
        f"DELETE FROM batches WHERE state IN {final} AND id NOT IN "  # noqa: S608
        f"(SELECT id FROM batches WHERE state IN {final} ORDER BY id DESC LIMIT ?)",
        (KEPT_BATCHES,),
    )
