"""Everything that the page shows, read once: counts, batches, the next request, and the settings."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deepchecks_telemetry.cli.show.explain import Answer
from deepchecks_telemetry.cli.show.status import read_status
from deepchecks_telemetry.spool.batches.ledger import Batch, batches
from deepchecks_telemetry.spool.consent.decision import OFF, decide
from deepchecks_telemetry.spool.errors import Damaged
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.states import FINAL, UNSETTLED, BatchState
from deepchecks_telemetry.spool.stats import EventCount, read_unsent
from deepchecks_telemetry.uploader.flush import seal_next
from deepchecks_telemetry.uploader.offline.bundle import read_rows

DAY_S = 86_400
DAY_NS = DAY_S * 10**9
STATES = (BatchState.PENDING, *UNSETTLED, *FINAL, BatchState.DROPPED)
NOT_SENT_AGAIN = (BatchState.EXPORTED, *FINAL)


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch of the ledger; `body` is None where its bytes are not stored or do not match its digest."""

    batch: Batch
    body: bytes | None


@dataclass(frozen=True, slots=True)
class PageData:
    """The input of the page; `status` is the report of `status --json`, `now` is in Unix seconds."""

    now: float
    status: dict[str, Any]
    answers: tuple[Answer, ...]
    counts: tuple[EventCount, ...]
    ledger: tuple[Entry, ...]
    next_request: Entry | None

    def sum(self, state: str) -> int:
        """The number of events in this state whose day is known."""
        return sum(count.count for count in self.counts if count.state == state)


def read_page_data(home: Home) -> PageData:
    """Read all of it; pending counts are sealed first, as `preview` does, so the next request is the one to be sent."""
    sealed = _seal(home)
    status, answers = read_status(home)
    unsent = read_unsent(home)
    ledger = tuple(Entry(batch, _body(batch)) for batch in batches(home))
    others = (count for entry in ledger for count in _counts(entry))
    return PageData(
        now=time.time(),
        status=status,
        answers=answers,
        counts=(*unsent, *others),
        ledger=ledger,
        next_request=next((entry for entry in ledger if sealed and entry.batch.id == sealed.id), None),
    )


def _seal(home: Home) -> Batch | None:
    return seal_next(home) if decide(home).mode != OFF and read_unsent(home) else None


def _body(batch: Batch) -> bytes | None:
    try:
        return batch.body
    except Damaged:
        return None


def _counts(entry: Entry) -> Iterator[EventCount]:
    """The counts of a batch that is not sent again; none if it was edited, but the page still lists the batch."""
    state = entry.batch.state
    if state in NOT_SENT_AGAIN and entry.body is not None:
        for row in read_rows(entry.body):
            yield EventCount(row.day, row.event, row.environment, row.count, state)
