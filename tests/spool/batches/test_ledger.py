"""What became of a batch is booked once, and whatever comes later changes nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.ledger import KEPT_BATCHES, Batch, Disposition, batches, mark_attempt, settle
from deepchecks_telemetry.spool.batches.seal import Row, seal
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.db.schema import BatchState
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.spool.wipe import erase

Sql = Callable[..., list[Any]]
Seal = Callable[..., Batch]
URL = "https://collector.example.org/v1/logs"
HOST = "a.example"
WAITS = "SELECT host, until FROM retry_after"
EVENTS = ["run-check"] * 5 + ["run-suite"] * 3 + ["package-import"]


@pytest.fixture
def sealed(ours: Home, render: Callable[[str, list[Row]], bytes]) -> Seal:
    """Record some events and seal them: a batch of three rows with 5, 3 and 1 events."""

    def make(names: list[str] = EVENTS) -> Batch:
        assert all(map(record, names))
        assert seal(ours, render)
        return batches(ours, states=("sealed",))[-1]

    return make


def test_an_attempt_is_noted_before_the_request(ours: Home, sealed: Seal) -> None:
    batch = sealed()
    for attempt in (1, 2):
        assert mark_attempt(ours, batch, URL, clock=lambda: 99.9) is True
        (booked,) = batches(ours)
        assert (booked.attempts, booked.tried_at, booked.endpoint, booked.state) == (attempt, 99, URL, "sealed")


def test_no_attempt_starts_after_disable_or_settlement(ours: Home, sealed: Seal) -> None:
    batch = sealed()
    settle(ours, batch, Disposition(BatchState.DELIVERED, "delivered"))
    assert mark_attempt(ours, batch, URL) is False
    other = sealed()
    erase(ours)
    assert mark_attempt(ours, other, URL) is False


def test_no_attempt_starts_while_the_fence_is_closed(ours: Home, sealed: Seal, sql: Sql) -> None:
    batch = sealed()
    sql("UPDATE spool SET epoch = epoch + 1")
    assert mark_attempt(ours, batch, URL) is False


@pytest.mark.parametrize(
    ("state", "refused", "delivered", "rejected"),
    [
        ("delivered", 0, 9, 0),
        ("delivered", 1, 8, 1),
        ("delivered", 2, 5, 4),
        ("delivered", 3, 0, 9),
        ("delivered", 99, 0, 9),
        ("rejected", 3, 0, 9),
    ],
)
def test_a_final_state_moves_every_event_once(
    ours: Home, sealed: Seal, sql: Sql, state: str, refused: int, delivered: int, rejected: int
) -> None:
    """Of a partial success nobody knows which rows were refused: the fewest events that it can have been."""
    batch = sealed()
    assert settle(ours, batch, Disposition(BatchState(state), "told", rejected_rows=refused)) is True
    books = read_accounts(ours)
    assert (books.delivered, books.rejected, books.sealed, books.balance) == (delivered, rejected, 0, 0)
    assert sql("SELECT count(*) FROM rows") == [(0,)]
    (done,) = batches(ours)
    assert (done.state, done.outcome, done.rejected, done.body) == (state, "told", rejected, batch.body)


@pytest.mark.parametrize("first", ["delivered", "rejected"])
@pytest.mark.parametrize("second", ["delivered", "rejected", "parked", "sealed", "exported"])
def test_settling_a_settled_batch_changes_nothing(ours: Home, sealed: Seal, sql: Sql, first: str, second: str) -> None:
    batch = sealed()
    assert settle(ours, batch, Disposition(BatchState(first), "first", next_upload=5))
    before = read_accounts(ours), batches(ours)
    assert (
        settle(
            ours,
            batch,
            Disposition(BatchState(second), "second", rejected_rows=1, next_upload=9, retry_after=7, host=HOST),
        )
        is False
    )
    assert (read_accounts(ours), batches(ours)) == before


@pytest.mark.parametrize("state", ["sealed", "parked", "exported"])
def test_a_batch_that_is_not_final_keeps_its_rows_and_bytes(ours: Home, sealed: Seal, sql: Sql, state: str) -> None:
    batch = sealed()
    assert settle(ours, batch, Disposition(BatchState(state), "told"))
    assert sql("SELECT sum(count) FROM rows") == [(9,)]
    (booked,) = batches(ours)
    assert (booked.state, booked.packed, booked.sha256) == (state, batch.packed, batch.sha256)
    books = read_accounts(ours)
    assert {name: getattr(books, name) for name in ("sealed", "parked", "exported")} == {
        name: 9 * (name == state) for name in ("sealed", "parked", "exported")
    }
    assert books.balance == 0


def test_failures_are_counted_until_another_outcome(ours: Home, sealed: Seal, sql: Sql) -> None:
    batch = sealed()
    for failures in (1, 2):
        found = Disposition(BatchState.SEALED, "refused", next_upload=100 * failures, retry_after=50, host=HOST)
        assert settle(ours, batch, found)
        books = read_accounts(ours)
        assert (books.failures, books.next_upload) == (failures, 100 * failures)
        assert sql(WAITS) == [(HOST, 50)]
    assert settle(ours, batch, Disposition(BatchState.DELIVERED, "delivered", host=HOST))
    books = read_accounts(ours)
    assert (books.failures, books.next_upload) == (0, 200)
    assert sql(WAITS) == []


def test_a_late_settlement_does_not_affect_a_new_batch_of_the_same_number(ours: Home, sealed: Seal) -> None:
    old = sealed()
    erase(ours)
    choose(ours, "on")
    new = sealed(["run-check"])
    assert new.id == old.id
    assert settle(ours, old, Disposition(BatchState.DELIVERED, "delivered")) is False
    assert mark_attempt(ours, old, URL) is False
    books = read_accounts(ours)
    assert (books.delivered, books.sealed, books.balance) == (0, 1, 0)


def test_settled_batches_are_kept_up_to_a_limit(ours: Home, sealed: Seal) -> None:
    for _ in range(KEPT_BATCHES + 3):
        assert settle(ours, sealed(["run-check"]), Disposition(BatchState.DELIVERED, "delivered"))
    assert len(batches(ours)) == KEPT_BATCHES
    assert batches(ours)[-1].id == KEPT_BATCHES + 3
    assert read_accounts(ours).delivered == KEPT_BATCHES + 3
    assert read_accounts(ours).balance == 0
