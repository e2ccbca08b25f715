"""The bookkeeping around a request: which batch is next, that it is being tried, and what became of it."""

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
from deepchecks_telemetry.spool.db.schema import FINAL, STATES, UNSETTLED, BatchState, in_states
from deepchecks_telemetry.spool.errors import Damaged
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.recovery.maintenance import with_maintenance

MAX_BODY_BYTES = 2**22  # bytes; 1,000 rows of 1,000 environments take 1 MB, and a few KB of gzip can be gigabytes
GZIP = 31  # zlib's word for that format
UNSETTLED_TALLY = "dropped:unsettled"
KEPT_BATCHES = 20  # some 30 KB each at most: finished batches whose bytes stay to be looked at


@dataclass(frozen=True, slots=True)
class Batch:
    """One request: its number here, its state, its bytes, and what became of it. Times are Unix seconds.

    `packed` is the body as gzip, frozen at sealing: what is sent is what is stored, also by a later zlib.
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
        """The request's body before compression; `Damaged` where it is not what `sha256` is the digest of."""
        try:
            body = zlib.decompressobj(GZIP).decompress(self.packed, MAX_BODY_BYTES)
        except (zlib.error, TypeError):
            body = b""
        if hashlib.sha256(body).hexdigest() != self.sha256:
            raise Damaged(f"the bytes of batch {self.id} do not match its SHA-256")
        return body


@dataclass(frozen=True, slots=True)
class Disposition:
    """What becomes of a batch after a try: its new state, why, how many rows were refused, when to try again.

    `retry_after` is the moment before which `host`, the receiver that was asked, is not to be called again.
    """

    state: BatchState
    outcome: str
    rejected_rows: int = 0
    next_upload: int | None = None
    retry_after: int | None = None
    host: str | None = None


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """What the next try's moment depends on: the installation, and how often a try failed."""

    installation_id: str | None
    failures: int


_COLUMNS = ", ".join(column.name for column in fields(Batch))


def batches(home: Home, *, states: tuple[str, ...] = STATES) -> list[Batch]:
    """The ledger, oldest first: all of it, or what is in one of `states`."""
    marks = ", ".join("?" * len(states))
    query = f"SELECT {_COLUMNS} FROM batches WHERE state IN ({marks}) ORDER BY id"  # noqa: S608

    def read() -> list[Batch]:
        with opened(home) as connection:
            return [Batch(id_, BatchState(state), *rest) for id_, state, *rest in connection.execute(query, states)]

    return with_maintenance(home, read, check_tables=["batches"])


def read_schedule(home: Home) -> ScheduleState:
    """One row: the books would count all that waits, before each of hundreds of batches."""
    with opened(home) as connection:
        return ScheduleState(*connection.execute("SELECT installation, failures FROM spool").fetchone())


def mark_attempt(
    home: Home,
    batch: Batch,
    endpoint: str,
    *,
    check: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.time,
) -> bool:
    """Note that `batch` is now being sent; False when it is no longer there to be sent, or `disable` was faster.

    A batch whose bytes are not those that were sealed is parked instead: it is reported, and the others are sent.
    `check` is called once the write lock is held, for which this may have waited; what it raises undoes the note.
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
    """Park a batch whose bytes are not those that were sealed; True when they are not."""
    try:
        if batch.body:
            return False
    except Damaged:
        pass
    settle(home, batch, Disposition(BatchState.PARKED, DAMAGED), reschedule=False)
    return True


def settle(home: Home, batch: Batch, found: Disposition, *, reschedule: bool = True) -> bool:
    """Book what became of `batch`; False when it was already settled or wiped, and then nothing is changed.

    `reschedule=False`: it comes from a receipt, so the schedule of our own requests stays as it is.
    """
    with opened(home) as connection, writing(connection, monotonic() + BUSY_TIMEOUT_S):
        if not _is_open(connection, batch, found.state):
            return False
        rejected = _rejected_events(connection, batch, found.rejected_rows)
        connection.execute(
            "UPDATE batches SET state = ?, outcome = ?, rejected = ? WHERE id = ?",
            (found.state, found.outcome, rejected, batch.id),
        )
        if reschedule:
            _schedule(connection, found)
        if found.state in FINAL:
            _close(connection, batch, rejected)
        return True


def _is_open(connection: sqlite3.Connection, batch: Batch, wanted: BatchState) -> bool:
    """Whether the batch can get the wanted state; one that was dropped can still be settled by a late receipt."""
    found = connection.execute("SELECT state FROM batches WHERE (id, sha256) = (?, ?)", (batch.id, batch.sha256))
    (state,) = found.fetchone() or (None,)
    if state != BatchState.DROPPED:
        return state in UNSETTLED
    return wanted in FINAL and _take_back(connection, batch.events)


def _take_back(connection: sqlite3.Connection, events: int) -> bool:
    """Its events are no longer counted as dropped."""
    values = (events, UNSETTLED_TALLY, events)
    taken = connection.execute("UPDATE tallies SET count = count - ? WHERE name = ? AND count >= ?", values)
    connection.execute("DELETE FROM tallies WHERE name = ? AND count = 0", (UNSETTLED_TALLY,))
    return taken.rowcount == 1


def _rejected_events(connection: sqlite3.Connection, batch: Batch, rows: int) -> int:
    """A partial success says how many rows were refused, never which: all, or the fewest events that can be."""
    if not rows:
        return 0
    if rows >= batch.rows:
        return batch.events
    counts = connection.execute("SELECT count FROM rows WHERE batch = ? ORDER BY count LIMIT ?", (batch.id, rows))
    fewest: int = sum(count for (count,) in counts)
    return max(rows, fewest)  # of a dropped export the rows are gone


def _schedule(connection: sqlite3.Connection, found: Disposition) -> None:
    failed = found.state == BatchState.SEALED
    connection.execute(
        "UPDATE spool SET failures = CASE WHEN ? THEN failures + 1 ELSE 0 END, next_upload = coalesce(?, next_upload)",
        (failed, found.next_upload),
    )
    connection.execute("DELETE FROM retry_after WHERE host = ?", (found.host,))
    if found.retry_after is not None and found.host is not None:
        connection.execute("INSERT INTO retry_after VALUES (?, ?)", (found.host, found.retry_after))


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
