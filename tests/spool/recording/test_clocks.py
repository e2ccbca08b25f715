"""If the clock jumps back, forward or to 1970, days are UTC, nothing is sealed twice, and everything is sealed."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.ledger import Disposition, batches, mark_attempt, settle
from deepchecks_telemetry.spool.batches.seal import Row, seal
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.recording import session, watch
from deepchecks_telemetry.spool.recording.watch import FIRST_DAY, today
from deepchecks_telemetry.spool.states import BatchState
from deepchecks_telemetry.spool.stats import read_accounts, read_unsent
from deepchecks_telemetry.uploader.schedule import is_sane, next_due

Sql = Callable[..., list[Any]]
Render = Callable[[str, list[Row]], bytes]
DAY_S = 86_400
NOW = 1_800_000_000.0  # 2027-01-15


@pytest.mark.parametrize("now", [0.0, -1.0, 12.5, 1_700_000_000.0, FIRST_DAY * DAY_S - 0.1])
def test_a_clock_before_2026_was_never_set(now: float) -> None:
    assert today(lambda: now) == FIRST_DAY


@given(day=st.integers(FIRST_DAY, 100_000), second=st.integers(0, DAY_S - 1))
def test_a_day_is_a_utc_day_in_every_time_zone(day: int, second: int) -> None:
    assert today(lambda: float(day * DAY_S + second)) == day


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system's time zone cannot be changed in a process")
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC"])
def test_changing_the_time_zone_does_not_change_the_day(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert abs(today() - int(time.time() // DAY_S)) <= 1
        assert today(lambda: NOW) == int(NOW // DAY_S)
    finally:
        monkeypatch.undo()
        time.tzset()


def count_at(monkeypatch: pytest.MonkeyPatch, now: float) -> None:
    monkeypatch.setattr(watch, "LEASE_S", 0.0)  # the day is read at each check
    for module in (watch, session):
        monkeypatch.setattr(module, "today", lambda: today(lambda: now))
    assert record("run-check")


@pytest.mark.parametrize("first", [0.0, NOW - 9 * 365 * DAY_S, NOW + 50 * 365 * DAY_S])
def test_after_a_jump_of_the_clock_everything_is_sealed_once(
    dirs: Home, monkeypatch: pytest.MonkeyPatch, render: Render, sql: Sql, first: float
) -> None:
    """Before the jump, after it, and after a jump back, with a batch sealed each time."""
    for now in (first, NOW, first, NOW + DAY_S):
        count_at(monkeypatch, now)
        assert seal(dirs, render, clock=partial(float, now))
        (batch,) = batches(dirs, states=("sealed",))
        assert mark_attempt(dirs, batch, "http://localhost/v1/logs", clock=partial(float, now))
        assert settle(dirs, batch, Disposition(BatchState.DELIVERED, "a test"))
    stats = read_accounts(dirs)
    assert (stats.recorded, stats.delivered, stats.pending, stats.balance) == (4, 4, 0, 0)
    assert not seal(dirs, render)
    assert sql("SELECT sum(events), count(DISTINCT sha256) FROM batches") == [(4, 4)]


def test_events_of_a_repeated_day_are_two_batches_with_different_uids(
    dirs: Home, monkeypatch: pytest.MonkeyPatch, render: Render
) -> None:
    bodies = set()
    for _ in range(2):
        count_at(monkeypatch, NOW)
        assert seal(dirs, render)
        (batch,) = batches(dirs, states=("sealed",))
        bodies.add(batch.body)
        settle(dirs, batch, Disposition(BatchState.DELIVERED, "a test"))
    assert len(bodies) == 2


def test_days_out_of_order_are_counted_separately(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for now in (NOW, 0.0, NOW + 3650 * DAY_S, NOW):
        count_at(monkeypatch, now)
    found = {waiting.day: waiting.count for waiting in read_unsent(dirs)}
    assert found == {FIRST_DAY: 1, int(NOW // DAY_S): 2, int(NOW // DAY_S) + 3650: 1}


def test_a_schedule_from_a_clock_far_ahead_does_not_stop_uploads(dirs: Home) -> None:
    assert record("run-check")
    planned = next_due(NOW + 50 * 365 * DAY_S, read_accounts(dirs).installation_id or "")
    assert not is_sane(planned, NOW)
    assert is_sane(next_due(NOW, read_accounts(dirs).installation_id or ""), NOW)


def test_counts_of_an_unset_clock_are_recent_enough_for_a_receiver() -> None:
    """Our collector accepts the last ten years."""
    pytest.importorskip("starlette")
    from deepchecks_telemetry.collector.otlp import MAX_AGE

    assert today(lambda: 0.0) > time.time() / DAY_S - MAX_AGE.days
