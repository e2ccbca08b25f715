"""The complete table of the decision: settings × notice × fence × due time × Retry-After × queue × command.

The expected results are computed in another way: as a set of obstacles, each determined independently.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import pytest

from deepchecks_telemetry.spool.batches.queue import MAX_PARKED, Queue
from deepchecks_telemetry.spool.consent.decision import (
    CHOICE,
    DEFAULT,
    FENCE,
    LIBRARY_SWITCHES,
    LOCAL,
    MODE_VARIABLE,
    OFF,
    ON,
    POLICY,
    TEST_RUN,
)
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.plan.decision import TEMPORARY, BlockedBy, Command, Facts, Plan, plan
from deepchecks_telemetry.uploader.plan.text import change_endpoint, change_mode, summarize
from deepchecks_telemetry.uploader.setting import ATTACHED, VARIABLE

NOW = 1_800_000_000.0
DAY_S = 86_400
HOST = "a.example:4318"
URL = f"https://{HOST}/v1/logs"
SOURCES = (POLICY, VARIABLE, CHOICE, ATTACHED)


class Row(NamedTuple):
    """One row of the table: the facts, the command, and everything that blocks it."""

    facts: Facts
    command: Command
    ignore_retry_after: bool
    obstacles: set[BlockedBy]


MODES = {(ON, DEFAULT): set(), (LOCAL, CHOICE): {BlockedBy.MODE}, (OFF, POLICY): {BlockedBy.MODE}}
ENDPOINTS: list[tuple[dict[str, Any], set[BlockedBy]]] = [
    ({}, {BlockedBy.NO_ENDPOINT}),
    *(
        ({"invalid_endpoint": "not a URL", "endpoint_source": source}, {BlockedBy.INVALID_ENDPOINT})
        for source in SOURCES
    ),
    *(({"endpoint": Endpoint(URL, source), "endpoint_source": source}, set()) for source in SOURCES),
]
SPOOLS: list[tuple[dict[str, Any], set[BlockedBy]]] = [
    ({}, set()),
    ({"spool_error": "the spool's file is damaged"}, {BlockedBy.SPOOL}),
]
# When the next upload is due, and whether an import at NOW is too early.
DUE_TIMES = {None: True, int(NOW): False, int(NOW) + 1: True, int(NOW) + 9 * DAY_S: True}
WAITS = {
    (): False,
    (("b.example", int(NOW) + 60),): False,  # of another receiver
    ((HOST, int(NOW)),): False,  # over
    ((HOST, int(NOW) + 8 * DAY_S),): False,  # the clock jumped back
    ((HOST, int(NOW) + 60), ("b.example", int(NOW) - 1)): True,
}
PENDING, SEALED, EXPORTED = {"pending": 1}, {"sealed": 1}, {"exported": 5}
PARKED = {"parked": 2, "parked_batches": 1, "parked_lately": 1, "last_parked_try": int(NOW)}
STALE = {"parked": 2, "parked_batches": 1, "parked_lately": 0, "last_parked_try": 1}
DAMAGED = {"parked": 2, "parked_batches": 1, "damaged_batches": 1}
FULL = {"parked": 9, "parked_batches": MAX_PARKED, "parked_lately": 1, "last_parked_try": int(NOW)}
# The content of the queue; what blocks an automatic upload; what blocks a flush.
QUEUES: list[tuple[dict[str, Any], BlockedBy | None, BlockedBy | None]] = [
    ({}, BlockedBy.NOTHING_PENDING, BlockedBy.NOTHING_PENDING),
    (EXPORTED, BlockedBy.NOTHING_PENDING, BlockedBy.NOTHING_PENDING),
    ({"future": 1}, BlockedBy.FUTURE_DAY, BlockedBy.FUTURE_DAY),
    (PENDING, None, None),
    (SEALED, None, None),
    (PENDING | SEALED | PARKED | {"future": 1}, None, None),
    (PARKED, BlockedBy.PARKED, None),
    (STALE, None, None),
    (DAMAGED, BlockedBy.PARKED, BlockedBy.PARKED),
    (DAMAGED | PENDING, None, None),
    (FULL | PENDING, BlockedBy.PARKED, None),
    (FULL | {"damaged_batches": MAX_PARKED, "parked_lately": 0} | PENDING, BlockedBy.PARKED, BlockedBy.PARKED),
]


def table() -> Iterator[Row]:
    for (mode, by_mode), (target, by_target), (spool, by_spool) in product(MODES.items(), ENDPOINTS, SPOOLS):
        settings = Facts(mode[0], mode[1], **target, **spool)
        queues = QUEUES[:1] if by_spool else QUEUES  # a queue that cannot be read is empty
        for shown, closed, due, waits, queue in product((True, False), (True, False), DUE_TIMES, WAITS, queues):
            counts, automatic, flushed = queue
            spooled = Queue(**counts, fence_closed=closed, next_upload=due, retry_after=dict(waits))
            facts = settings._replace(notice_shown=shown, queue=spooled)
            always = by_mode | by_target | by_spool | ({BlockedBy.FENCE} if closed else set())
            for command, now in product(Command, (False, True)):
                flush = command is Command.FLUSH
                obstacles = set(always)
                if not shown and not flush:
                    obstacles.add(BlockedBy.NOTICE)
                if command is Command.HOST and DUE_TIMES[due]:
                    obstacles.add(BlockedBy.NOT_DUE)
                if WAITS[waits] and not now and "endpoint" in target:
                    obstacles.add(BlockedBy.RETRY_AFTER)
                if queued := flushed if flush else automatic:
                    obstacles.add(queued)
                yield Row(facts, command, now, obstacles)


ORDER = list(BlockedBy)
QUEUED = {BlockedBy.NOTHING_PENDING, BlockedBy.FUTURE_DAY, BlockedBy.PARKED}


def test_each_row_of_the_table_is_blocked_by_its_first_obstacle_and_described_correctly() -> None:
    rows = 0
    for row in table():
        rows += 1
        planned = plan(row.facts, row.command, NOW, ignore_retry_after=row.ignore_retry_after)
        first = min(row.obstacles, key=ORDER.index, default=None)
        assert planned.blocked_by is first, row
        assert planned.sends_now is (not row.obstacles and row.command is not Command.REPORT), row
        assert planned.sends_automatically is (row.obstacles <= TEMPORARY), row
        check_summary(row, planned)
    assert rows > 100_000


def check_summary(row: Row, planned: Plan) -> None:
    sentence = summarize(planned)
    assert sentence.startswith("Counts are sent to " if planned.sends_automatically else "Nothing is sent"), row
    assert (planned.reason is None) is (planned.blocked_by is None), row
    if planned.sends_automatically:
        assert URL in sentence
        assert ("Not now: " in sentence) is (planned.blocked_by is not None), row
        due = row.facts.queue.next_upload
        assert planned.next_upload == (due if due is not None and due < NOW + 8 * DAY_S else None), row
    else:
        assert planned.next_upload is None, row
        assert planned.reason is not None
        assert planned.reason in sentence
        assert ("automatically" in sentence) is (planned.blocked_by is BlockedBy.NOTICE), row


@pytest.mark.parametrize("command", [Command.FLUSH, Command.CHILD, Command.HOST])
def test_exported_batches_are_sent_only_on_request(command: Command) -> None:
    facts = Facts(ON, DEFAULT, Endpoint(URL, CHOICE), queue=Queue(exported=3, next_upload=1))
    assert plan(facts, command, NOW).blocked_by is BlockedBy.NOTHING_PENDING
    assert plan(facts, command, NOW, exported=True).sends_now


@pytest.mark.parametrize(
    ("decided_by", "remedy"),
    [
        (POLICY, "only your administrator can change it"),
        (MODE_VARIABLE, f"unset {MODE_VARIABLE}"),
        ("DO_NOT_TRACK", "unset DO_NOT_TRACK"),
        (LIBRARY_SWITCHES[0], f"unset {LIBRARY_SWITCHES[0]}"),
        (CHOICE, "deepchecks telemetry enable"),
        (FENCE, "deepchecks telemetry enable"),
        (TEST_RUN, f"set {MODE_VARIABLE}=on"),
    ],
)
def test_the_remedy_names_the_source_that_turned_telemetry_off(decided_by: str, remedy: str) -> None:
    assert change_mode(decided_by) == remedy
    planned = plan(Facts(OFF, decided_by), Command.FLUSH, NOW)
    assert (planned.reason, planned.remedy) == (f"telemetry is off, decided by {decided_by}", remedy)


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        (POLICY, "only your administrator can change it"),
        (VARIABLE, f"correct or unset {VARIABLE}"),
        (CHOICE, "deepchecks telemetry enable --endpoint https://HOST"),
        (ATTACHED, "deepchecks telemetry enable --endpoint https://HOST"),
        (None, "deepchecks telemetry enable --endpoint https://HOST"),
    ],
)
def test_an_invalid_endpoint_is_corrected_at_its_source_or_overridden_by_an_earlier_one(
    source: str | None, remedy: str
) -> None:
    assert change_endpoint(source) == remedy


def test_a_directory_as_endpoint_has_no_retry_after() -> None:
    facts = Facts(
        ON, DEFAULT, Endpoint("file:///srv/drop", CHOICE), queue=Queue(pending=1, retry_after={"": int(NOW) + 9})
    )
    assert plan(facts, Command.FLUSH, NOW).sends_now
