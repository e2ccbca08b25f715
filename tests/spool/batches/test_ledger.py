"""A batch is settled once, and nothing that comes later changes it."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.spool.stored import stored

from deepchecks_telemetry.spool.batches.ledger import KEPT_BATCHES, Batch, Disposition, batches, mark_attempt, settle
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.states import BatchState
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.spool.wipe import erase

Sql = Callable[..., list[Any]]
Seal = Callable[..., Batch]
URL = "https://collector.example.org/v1/logs"
HOST = "a.example"
WAITS = "SELECT host, until FROM retry_after"


def test_an_attempt_is_noted_before_the_request(dirs: Home, sealed: Seal) -> None:
    batch = sealed()
    for attempt in (1, 2):
        assert mark_attempt(dirs, batch, URL, clock=lambda: 99.9) is True
        (booked,) = batches(dirs)
        assert (booked.attempts, booked.tried_at, booked.endpoint, booked.state) == (attempt, 99, URL, "sealed")


def test_no_attempt_starts_after_disable_or_settlement(dirs: Home, sealed: Seal) -> None:
    batch = sealed()
    settle(dirs, batch, Disposition(BatchState.DELIVERED, "delivered"))
    assert mark_attempt(dirs, batch, URL) is False
    other = sealed()
    erase(dirs)
    assert mark_attempt(dirs, other, URL) is False


def test_no_attempt_starts_while_the_fence_is_closed(dirs: Home, sealed: Seal, sql: Sql) -> None:
    batch = sealed()
    sql("UPDATE spool SET epoch = epoch + 1")
    assert mark_attempt(dirs, batch, URL) is False


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
    dirs: Home, sealed: Seal, sql: Sql, state: str, refused: int, delivered: int, rejected: int
) -> None:
    """A partial success does not say which rows were rejected, so the smallest possible number of events is counted."""
    batch = sealed()
    assert settle(dirs, batch, Disposition(BatchState(state), "a test", rejected_rows=refused)) is True
    stats = read_accounts(dirs)
    assert (stats.delivered, stats.rejected, stats.sealed, stats.balance) == (delivered, rejected, 0, 0)
    assert sql("SELECT count(*) FROM rows") == [(0,)]
    (done,) = batches(dirs)
    assert (done.state, done.outcome, done.rejected, done.body) == (state, "a test", rejected, batch.body)


@pytest.mark.parametrize("first", ["delivered", "rejected"])
@pytest.mark.parametrize("second", ["delivered", "rejected", "parked", "sealed", "exported"])
def test_settling_a_settled_batch_changes_nothing(dirs: Home, sealed: Seal, sql: Sql, first: str, second: str) -> None:
    batch = sealed()
    assert settle(dirs, batch, Disposition(BatchState(first), "first", next_upload=5))
    before = read_accounts(dirs), batches(dirs)
    assert (
        settle(
            dirs,
            batch,
            Disposition(BatchState(second), "second", rejected_rows=1, next_upload=9, retry_after=7, host=HOST),
        )
        is False
    )
    assert (read_accounts(dirs), batches(dirs)) == before


@pytest.mark.parametrize("state", ["sealed", "parked", "exported"])
def test_a_batch_that_is_not_final_keeps_its_rows_and_bytes(dirs: Home, sealed: Seal, sql: Sql, state: str) -> None:
    batch = sealed()
    assert settle(dirs, batch, Disposition(BatchState(state), "a test"))
    assert sql("SELECT sum(count) FROM rows") == [(9,)]
    (booked,) = batches(dirs)
    assert (booked.state, booked.packed, booked.sha256) == (state, batch.packed, batch.sha256)
    stats = read_accounts(dirs)
    assert {name: getattr(stats, name) for name in ("sealed", "parked", "exported")} == {
        name: 9 * (name == state) for name in ("sealed", "parked", "exported")
    }
    assert stats.balance == 0


def test_failures_are_counted_until_another_outcome(dirs: Home, sealed: Seal, sql: Sql) -> None:
    batch = sealed()
    for failures in (1, 2):
        found = Disposition(BatchState.SEALED, "refused", next_upload=100 * failures, retry_after=50, host=HOST)
        assert settle(dirs, batch, found)
        assert (stored(dirs).failures, stored(dirs).next_upload) == (failures, 100 * failures)
        assert sql(WAITS) == [(HOST, 50)]
    assert settle(dirs, batch, Disposition(BatchState.DELIVERED, "delivered", host=HOST))
    assert (stored(dirs).failures, stored(dirs).next_upload) == (0, 200)
    assert sql(WAITS) == []


def test_a_late_settlement_does_not_affect_a_new_batch_of_the_same_number(dirs: Home, sealed: Seal) -> None:
    old = sealed()
    erase(dirs)
    choose(dirs, "on")
    new = sealed("run-check")
    assert new.id == old.id
    assert settle(dirs, old, Disposition(BatchState.DELIVERED, "delivered")) is False
    assert mark_attempt(dirs, old, URL) is False
    stats = read_accounts(dirs)
    assert (stats.delivered, stats.sealed, stats.balance) == (0, 1, 0)


def test_settled_batches_are_kept_up_to_a_limit(dirs: Home, sealed: Seal) -> None:
    for _ in range(KEPT_BATCHES + 3):
        assert settle(dirs, sealed("run-check"), Disposition(BatchState.DELIVERED, "delivered"))
    assert len(batches(dirs)) == KEPT_BATCHES
    assert batches(dirs)[-1].id == KEPT_BATCHES + 3
    assert read_accounts(dirs).delivered == KEPT_BATCHES + 3
    assert read_accounts(dirs).balance == 0
