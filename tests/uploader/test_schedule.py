"""The schedule, as tables and as properties for any time and any installation."""

import random
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepchecks_telemetry.uploader.schedule import (
    DAY_S,
    FIRST_RETRY_S,
    first_due,
    is_sane,
    next_due,
    phase_s,
    retry_due,
)

NOON = 20_000 * DAY_S + DAY_S // 2
MOMENTS = st.floats(0, 4e9)
INSTALLATIONS = st.uuids(version=4).map(str)
ZERO, LAST = "00000000-0000-4000-8000-000000000000", f"{DAY_S - 1:08x}-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("now", "installation", "due"),
    [
        (20_000 * DAY_S, ZERO, 20_002 * DAY_S),
        (20_001 * DAY_S - 0.001, ZERO, 20_002 * DAY_S),
        (20_001 * DAY_S, ZERO, 20_003 * DAY_S),
        (NOON, LAST, 20_003 * DAY_S - 1),
    ],
)
def test_the_first_upload_follows_the_first_full_utc_day(now: float, installation: str, due: int) -> None:
    assert first_due(now, installation) == due


@pytest.mark.parametrize(("installation", "due"), [(ZERO, 20_001 * DAY_S), (LAST, 20_002 * DAY_S - 1)])
def test_the_next_upload_is_tomorrow_at_the_installations_time_of_day(installation: str, due: int) -> None:
    assert next_due(NOON, installation) == due


@given(MOMENTS, INSTALLATIONS)
def test_no_installation_sends_before_a_full_utc_day_has_passed_nor_waits_for_three(
    now: float, installation: str
) -> None:
    due = first_due(now, installation)
    full_day_begins = (int(now) // DAY_S + 1) * DAY_S
    assert full_day_begins + DAY_S <= due < full_day_begins + 2 * DAY_S


@given(MOMENTS, INSTALLATIONS)
def test_a_next_upload_is_on_the_following_utc_day_at_the_same_time_of_day(now: float, installation: str) -> None:
    assert next_due(now, installation) // DAY_S == int(now) // DAY_S + 1
    assert next_due(now, installation) % DAY_S == first_due(now, installation) % DAY_S == phase_s(installation)


@given(INSTALLATIONS)
def test_a_phase_is_a_time_of_day(installation: str) -> None:
    assert 0 <= phase_s(installation) < DAY_S


def test_a_thousand_installations_are_spread_over_every_hour_of_the_day() -> None:
    source = random.Random(1)
    hours = [phase_s(str(uuid.UUID(int=source.getrandbits(128), version=4))) // 3600 for _ in range(1000)]
    assert max(hours.count(hour) for hour in range(24)) < 100
    assert set(hours) == set(range(24))


@pytest.mark.parametrize(
    ("failures", "longest"),
    [(0, 600), (1, 1_200), (2, 2_400), (7, 76_800), (8, DAY_S), (10, DAY_S), (10_000_000, DAY_S)],
)
def test_the_back_off_doubles_up_to_a_day(failures: int, longest: int) -> None:
    assert retry_due(NOON, failures, draw=lambda: 0.0) == NOON + 60
    assert retry_due(NOON, failures, draw=lambda: 1.0) == NOON + 60 + longest


@given(MOMENTS, st.integers(0, 100_000), st.floats(0, 1, exclude_max=True))
def test_a_retry_is_never_sooner_than_a_minute_nor_later_than_a_day_and_a_minute(
    now: float, failures: int, draw: float
) -> None:
    due = retry_due(now, failures, draw=lambda: draw)
    assert int(now) + 60 <= due <= int(now) + 60 + min(DAY_S, FIRST_RETRY_S * 2 ** min(failures, 20))


@given(MOMENTS, INSTALLATIONS, st.integers(0, 50))
def test_every_due_time_is_sane_and_a_clock_that_jumped_back_by_ten_days_is_detected(
    now: float, installation: str, failures: int
) -> None:
    week = int(now) + 7 * DAY_S  # the longest that a server may ask for
    for due in (first_due(now, installation), next_due(now, installation), retry_due(now, failures), week):
        assert is_sane(due, now)
        assert not is_sane(due + 10 * DAY_S, now)
