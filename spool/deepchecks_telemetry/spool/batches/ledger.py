"""The bookkeeping around a request: which batch is next, that it is being tried, and what became of it."""

import hashlib
import sqlite3
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields

from deepchecks_telemetry.spool.batches.queue import DAMAGED
from deepchecks_telemetry.spool.db.busy import writing
from deepchecks_telemetry.spool.db.connection import BUSY_TIMEOUT_S, opened
from deepchecks_telemetry.spool.db.counters import add_tally
from deepchecks_telemetry.spool.db.schema import FINAL, PARKED, SEALED, STATES
from deepchecks_telemetry.spool.errors import Damaged
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.recovery.maintenance import kept_up

LARGEST_BODY = 2**22  # bytes; 1,000 rows of 1,000 environments take 1 MB, and a few KB of gzip can be gigabytes
GZIP = 31  # zlib's word for that format
KEPT = 20  # some 30 KB each at most: finished batches whose bytes stay to be looked at


@dataclass(frozen=True, slots=True)
class Batch:
    """One request: its number here, its state, its bytes, and what became of it. Times are Unix seconds.

    `packed` is the body as gzip, frozen at sealing: what is sent is what is stored, also by a later zlib.
    """

    id: int
    state: str
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
            body = zlib.decompressobj(GZIP).decompress(self.packed, LARGEST_BODY)
        except (zlib.error, TypeError):
            body = b""
        if hashlib.sha256(body).hexdigest() != self.sha256:
            raise Damaged(f"the bytes of batch {self.id} are not those that were sealed")
        return body


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be booked after a try: the batch's new state, why, how many events were refused, when to try again.

    `retry_after` is the moment before which `host`, the receiver that was asked, is not to be called again.
    """

    state: str
    outcome: str
    rejected_rows: int = 0
    next_upload: int | None = None
    retry_after: int | None = None
    host: str | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """What decides when the next try is: whose moment of the day, and how often it failed."""

    installation_id: str | None
    failures: int


_COLUMNS = ", ".join(column.name for column in fields(Batch))


def batches(home: Home, *, states: tuple[str, ...] = STATES) -> list[Batch]:
    """The ledger, oldest first: all of it, or what is in one of `states`."""
    marks = ", ".join("?" * len(states))
    query = f"SELECT {_COLUMNS} FROM batches WHERE state IN ({marks}) ORDER BY id"  # noqa: S608

    def read() -> list[Batch]:
        with opened(home) as connection:
            return [Batch(*row) for row in connection.execute(query, states)]

    return kept_up(home, read, reads=["batches"])


def read_timing(home: Home) -> Timing:
    """One row: the books would count all that waits, before each of hundreds of batches."""
    with opened(home) as connection:
        return Timing(*connection.execute("SELECT installation, failures FROM spool").fetchone())


def begin(home: Home, batch: Batch, endpoint: str, *, clock: Callable[[], float] = time.time) -> bool:
    """Book that `batch` is now being tried; False when it is no longer there to be sent, or `disable` was faster.

    One whose bytes are not those that were sealed is parked instead: it is reported, and others get their turn.
    """
    if not _is_whole(batch):
        settle(home, batch, Verdict(PARKED, DAMAGED), carried=True)
        return False
    with opened(home) as connection, writing(connection, time.monotonic() + BUSY_TIMEOUT_S):
        tried = connection.execute(
            "UPDATE batches SET attempts = attempts + 1, tried_at = ?, endpoint = ?, outcome = NULL "
            "WHERE id = ? AND sha256 = ? AND state IN ('sealed', 'parked', 'exported')"
            " AND (SELECT epoch % 2 FROM spool) = 0",
            (int(clock()), endpoint, batch.id, batch.sha256),
        )
        return tried.rowcount == 1


def _is_whole(batch: Batch) -> bool:
    try:
        return bool(batch.body)
    except Damaged:
        return False


def settle(home: Home, batch: Batch, verdict: Verdict, *, carried: bool = False) -> bool:
    """Book what became of `batch`; False when it was already settled or wiped, and then nothing is changed.

    `carried`: told by a receipt, so the schedule of our own requests stays as it is.
    """
    with opened(home) as connection, writing(connection, time.monotonic() + BUSY_TIMEOUT_S):
        rejected = _rejected_events(connection, batch, verdict.rejected_rows)
        settled = connection.execute(
            "UPDATE batches SET state = ?, outcome = ?, rejected = ? WHERE id = ? AND sha256 = ? "
            "AND state NOT IN ('delivered', 'rejected')",
            (verdict.state, verdict.outcome, rejected, batch.id, batch.sha256),
        )
        if settled.rowcount != 1:
            return False
        if not carried:
            _schedule(connection, verdict)
        if verdict.state in FINAL:
            _close(connection, batch, rejected)
        return True


def _rejected_events(connection: sqlite3.Connection, batch: Batch, rows: int) -> int:
    """A partial success tells how many records were refused, never which: all, or the fewest events that can be."""
    if not rows:
        return 0
    if rows >= batch.rows:
        return batch.events
    counts = connection.execute("SELECT count FROM rows WHERE batch = ? ORDER BY count LIMIT ?", (batch.id, rows))
    return sum(count for (count,) in counts)


def _schedule(connection: sqlite3.Connection, verdict: Verdict) -> None:
    failed = verdict.state == SEALED
    connection.execute(
        "UPDATE spool SET failures = CASE WHEN ? THEN failures + 1 ELSE 0 END, next_upload = coalesce(?, next_upload)",
        (failed, verdict.next_upload),
    )
    connection.execute("DELETE FROM retry_after WHERE host = ?", (verdict.host,))
    if verdict.retry_after is not None and verdict.host is not None:
        connection.execute("INSERT INTO retry_after VALUES (?, ?)", (verdict.host, verdict.retry_after))


def _close(connection: sqlite3.Connection, batch: Batch, rejected: int) -> None:
    add_tally(connection, "delivered", batch.events - rejected)
    add_tally(connection, "rejected", rejected)
    for table in ("rows", "exports"):
        connection.execute(f"DELETE FROM {table} WHERE batch = ?", (batch.id,))  # noqa: S608
    connection.execute(
        "DELETE FROM batches WHERE state IN ('delivered', 'rejected') AND id NOT IN "
        "(SELECT id FROM batches WHERE state IN ('delivered', 'rejected') ORDER BY id DESC LIMIT ?)",
        (KEPT,),
    )
