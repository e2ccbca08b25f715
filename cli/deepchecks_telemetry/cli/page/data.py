"""Everything that the page shows, read once: counts, batches, the next request, and the settings."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from deepchecks_telemetry.cli.show.explain import Answer
from deepchecks_telemetry.cli.show.status import read_status
from deepchecks_telemetry.spool.batches.ledger import Batch, batches
from deepchecks_telemetry.spool.catalogue import FIELDS, Environment
from deepchecks_telemetry.spool.consent.decision import OFF, decide
from deepchecks_telemetry.spool.db.schema import FINAL, UNSETTLED, BatchState
from deepchecks_telemetry.spool.errors import Damaged
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.stats import UnsentCount, read_unsent
from deepchecks_telemetry.uploader.flush import seal_next

DAY_S = 86_400
DAY_NS = DAY_S * 10**9
STATES = (BatchState.PENDING, *UNSETTLED, *FINAL, BatchState.DROPPED)
NOT_SENT_AGAIN = (BatchState.EXPORTED, *FINAL)


@dataclass(frozen=True, slots=True)
class Count:
    """How often an event happened on one UTC day in one environment, and the state of these events."""

    day: int
    event: str
    environment: Environment
    count: int
    state: str


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
    counts: tuple[Count, ...]
    ledger: tuple[Entry, ...]
    next_request: Entry | None

    def sum(self, state: str) -> int:
        """The number of events in this state whose day is known."""
        return sum(count.count for count in self.counts if count.state == state)


def read_page_data(home: Home, *, clock: Callable[[], float] = time.time) -> PageData:
    """Read all of it; pending counts are sealed first, as `preview` does, so the next request is the one to be sent."""
    sealed = _seal(home)
    status, answers = read_status(home)
    unsent = map(_count, read_unsent(home))
    ledger = tuple(Entry(batch, _body(batch)) for batch in _batches(home))
    others = (count for entry in ledger for count in _counts(entry))
    return PageData(
        now=clock(),
        status=status,
        answers=answers,
        counts=(*unsent, *others),
        ledger=ledger,
        next_request=next((entry for entry in ledger if sealed and entry.batch.id == sealed.id), None),
    )


def _seal(home: Home) -> Batch | None:
    return seal_next(home) if decide(home).mode != OFF and read_unsent(home) else None


def _batches(home: Home) -> list[Batch]:
    try:
        return batches(home)
    except FileNotFoundError:
        return []


def _count(row: UnsentCount) -> Count:
    return Count(row.day, row.event, row.environment, row.count, row.state)


def _body(batch: Batch) -> bytes | None:
    try:
        return batch.body
    except Damaged:
        return None


def _counts(entry: Entry) -> Iterable[Count]:
    """The counts of a batch that is not sent again, read from its bytes, as a receiver reads them."""
    state = entry.batch.state
    if state not in NOT_SENT_AGAIN or entry.body is None:
        return ()
    try:
        return tuple(_records(json.loads(entry.body), state))
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError):
        return ()  # a spool that was edited by hand; the page still lists the batch


def _records(request: Any, state: str) -> Iterator[Count]:
    for resource in request["resourceLogs"]:
        values = _values(resource["resource"]["attributes"])
        environment = Environment(*(str(values[field.wire]) for field in FIELDS))
        for record in (record for scope in resource["scopeLogs"] for record in scope["logRecords"]):
            count = int(_values(record["attributes"])["deepchecks.event.count"])
            day = int(record["timeUnixNano"]) // DAY_NS
            yield Count(day, record["eventName"].removeprefix("deepchecks."), environment, count, state)


def _values(attributes: Any) -> dict[str, Any]:
    return {attribute["key"]: next(iter(attribute["value"].values())) for attribute in attributes}
