"""Every recorded event is in one state, and a wrong sum is detected."""

from collections.abc import Callable
from typing import Any

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.seal import Row, seal
from deepchecks_telemetry.spool.consent.resource import current
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.recording.watch import today
from deepchecks_telemetry.spool.stats import Accounts, read_accounts, read_unsent

Sql = Callable[..., list[Any]]


def test_without_a_spool_all_counts_are_zero_and_nothing_is_created(dirs: Home) -> None:
    assert read_accounts(dirs) == Accounts()
    assert read_unsent(dirs) == []
    assert Accounts().balance == 0


def test_unsent_events_are_listed_by_day_event_and_environment(
    dirs: Home, render: Callable[[str, list[Row]], bytes]
) -> None:
    for name in ["run-check", "run-suite", "run-check"]:
        assert record(name)
    assert seal(dirs, render)
    assert record("run-check")
    found = [(waiting.event, waiting.count, waiting.state) for waiting in read_unsent(dirs)]
    assert sorted(found) == [("run-check", 1, "pending"), ("run-check", 2, "sealed"), ("run-suite", 1, "sealed")]
    assert {waiting.environment for waiting in read_unsent(dirs)} == {current()}
    assert {waiting.day for waiting in read_unsent(dirs)} <= {today(), today() - 1}
    assert read_accounts(dirs).rows == 3


@pytest.mark.parametrize("damage", ["DELETE FROM events WHERE id = 2", "UPDATE folded SET count = count + 1"])
def test_an_event_that_is_lost_or_counted_twice_shows_in_the_balance(dirs: Home, sql: Sql, damage: str) -> None:
    for _ in range(3):
        assert record("run-check")
    sql("INSERT INTO folded SELECT day, 3, environment, 1 FROM events WHERE id = 1")
    sql("DELETE FROM events WHERE id = 1")
    assert read_accounts(dirs).balance == 0
    sql(damage)
    assert read_accounts(dirs).balance != 0


def test_the_balance_is_recorded_minus_all_states() -> None:
    stats = Accounts(
        recorded=100,
        pending=1,
        sealed=2,
        delivered=3,
        exported=4,
        rejected=5,
        dropped={"busy": 6, "unknown": 7},
    )
    assert stats.balance == 100 - 28
    assert Accounts(recorded=10, parked=8).balance == 2
