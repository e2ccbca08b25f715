"""Counts of a future day wait until that day, or are moved to today."""

from collections.abc import Callable
from typing import Any

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.seal import Row, seal
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.stats import read_accounts

Render = Callable[[str, list[Row]], bytes]
Sql = Callable[..., list[Any]]


TODAY = 20_700


def add(sql: Sql, *days: object) -> None:
    """Add one event of each day, and a second one of the first."""
    for day in (*days, days[0]):
        sql("INSERT INTO events (day, event, environment) VALUES (?, 2, 1)", day)


def sealed_days(dirs: Home, sql: Sql, render: Render, day: int) -> list[tuple[int, int]]:
    """Seal on `day`, and return the days that were sealed with their counts."""
    before = sql("SELECT coalesce(max(id), 0) FROM batches")[0][0]
    seal(dirs, render, while_unsent=True, clock=lambda: day * 86_400.0)
    return sql("SELECT day, sum(count) FROM rows WHERE batch > ? GROUP BY day ORDER BY day", before)


def test_counts_of_the_next_two_days_wait_until_that_day(dirs: Home, sql: Sql, render: Render) -> None:
    assert record("run-check")
    sql("DELETE FROM events")
    add(sql, TODAY + 2, TODAY + 1, TODAY)
    assert [sealed_days(dirs, sql, render, TODAY + later) for later in range(4)] == [
        *([(TODAY, 1)], [(TODAY + 1, 1)], [(TODAY + 2, 2)], [])
    ]
    assert read_accounts(dirs).balance == 0


def test_counts_dated_further_ahead_are_moved_to_today(dirs: Home, sql: Sql, render: Render) -> None:
    assert record("run-check")
    sql("DELETE FROM events")
    add(sql, TODAY + 3, TODAY + 900, TODAY - 1, TODAY)
    assert sealed_days(dirs, sql, render, TODAY) == [(TODAY - 1, 1), (TODAY, 4)]
    assert (read_accounts(dirs).pending, read_accounts(dirs).dropped, read_accounts(dirs).balance) == (0, {}, 0)


def test_an_unset_clock_moves_no_counts(dirs: Home, sql: Sql, render: Render) -> None:
    assert record("run-check")
    sql("DELETE FROM events")
    add(sql, TODAY)
    assert sealed_days(dirs, sql, render, 0) == [(TODAY, 2)]
