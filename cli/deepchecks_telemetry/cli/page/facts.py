"""Everything that the picture shows, read once: what is counted, what was sent, what goes next, and who decides."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from deepchecks_telemetry.cli.explain import Answer
from deepchecks_telemetry.cli.status import read_status
from deepchecks_telemetry.spool.batches.ledger import Batch, batches
from deepchecks_telemetry.spool.catalogue import FIELDS, Environment
from deepchecks_telemetry.spool.consent.decision import OFF, decide
from deepchecks_telemetry.spool.db.schema import FINAL, UNSETTLED, BatchState
from deepchecks_telemetry.spool.errors import Damaged
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.stats import UnsentCount, read_unsent

DAY_NS = 86_400 * 10**9
STATES = (BatchState.PENDING, *UNSETTLED, *FINAL)
FINISHED = (BatchState.EXPORTED, *FINAL)


@dataclass(frozen=True, slots=True)
class Count:
    """So many of one event on one UTC day in one environment, and the state that they are in."""

    day: int
    event: str
    environment: Environment
    count: int
    state: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch of the ledger; `body` is None where its bytes are gone or are no longer those of its digest."""

    batch: Batch
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What the page is made from; `status` is what `status --json` prints, `now` Unix seconds."""

    now: float
    status: dict[str, Any]
    answers: tuple[Answer, ...]
    counts: tuple[Count, ...]
    ledger: tuple[Entry, ...]
    next_up: Entry | None

    def sum(self, state: str) -> int:
        """How many events are known by day in this state."""
        return sum(count.count for count in self.counts if count.state == state)


def read_facts(home: Home, *, clock: Callable[[], float] = time.time) -> Facts:
    """Read all of it; what is pending is sealed first, as `preview` does, so the next request is the one to be sent."""
    upcoming = _seal(home)
    status, answers = read_status(home)
    waiting = read_unsent(home)
    ledger = tuple(_open(batch) for batch in _batches(home))
    gone = (count for entry in ledger for count in _rows(entry))
    return Facts(
        now=clock(),
        status=status,
        answers=answers,
        counts=(*map(_count, waiting), *gone),
        ledger=ledger,
        next_up=next((entry for entry in ledger if upcoming and entry.batch.id == upcoming.id), None),
    )


def _seal(home: Home) -> Batch | None:
    from deepchecks_telemetry.uploader.flush import seal_next

    return seal_next(home) if decide(home).mode != OFF and read_unsent(home) else None


def _batches(home: Home) -> list[Batch]:
    try:
        return batches(home)
    except FileNotFoundError:
        return []


def _count(row: UnsentCount) -> Count:
    return Count(row.day, row.event, row.environment, row.count, row.state)


def open_body(batch: Batch) -> bytes | None:
    """The exact bytes of a batch; None where they are gone, or damaged."""
    try:
        return batch.body
    except Damaged:
        return None


def _open(batch: Batch) -> Entry:
    return Entry(batch, open_body(batch))


def _rows(entry: Entry) -> Iterable[Count]:
    """What was in a batch that is not to be sent any more, read from the bytes themselves, as a receiver would."""
    state = entry.batch.state
    if state not in FINISHED or entry.body is None:
        return ()
    try:
        return tuple(_records(json.loads(entry.body), state))
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError):
        return ()  # a spool that was edited by hand: the ledger still shows the bytes


def _records(request: Any, state: str) -> Iterator[Count]:
    for resource in request["resourceLogs"]:
        place = _values(resource["resource"]["attributes"])
        environment = Environment(*(str(place[field.wire]) for field in FIELDS))
        for record in (record for scope in resource["scopeLogs"] for record in scope["logRecords"]):
            count = int(_values(record["attributes"])["deepchecks.event.count"])
            day = int(record["timeUnixNano"]) // DAY_NS
            yield Count(day, record["eventName"].removeprefix("deepchecks."), environment, count, state)


def _values(attributes: Any) -> dict[str, Any]:
    return {attribute["key"]: next(iter(attribute["value"].values())) for attribute in attributes}
