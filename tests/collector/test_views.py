"""The views of a store give the numbers of an independent count, to any program that reads SQLite."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

from deepchecks_telemetry.collector import Options
from deepchecks_telemetry.collector.otlp import Row
from deepchecks_telemetry.collector.store import Store
from deepchecks_telemetry.spool.catalogue import Environment

from .independent import Count

LAST = date(2025, 11, 24)
VERSIONS = ("0.18.1", "0.19.0", "0.19.1")


def some_rows() -> list[Row]:
    chance = Random(4)

    def row(uid: int) -> Row:
        version = chance.choice(VERSIONS)
        environment = Environment(version, "linux", "debian", "12", "cpython", "3.11", "script")
        day = (LAST - timedelta(days=chance.randrange(40))).isoformat()
        event = chance.choice(["package-import", "run-check", "run-suite", "suite-to-html"])
        return Row(
            str(UUID(int=uid)), day, event, chance.randint(1, 9), environment, str(UUID(int=chance.randrange(60)))
        )

    return [row(uid) for uid in range(300)]


def monday(row: Row) -> str:
    day = date.fromisoformat(row.day)
    return (day - timedelta(days=day.weekday())).isoformat()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store that is being served, whose rows arrived in another order than their days."""
    path = tmp_path_factory.mktemp("views") / "store.db"
    with closing(Store(path)) as opened:
        for start in range(0, 300, 50):
            opened.append(some_rows()[start : start + 60], received=LAST)
        yield path


def read_view(store: Path, name: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "sqlite_utils", "rows", str(store), name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def test_active_installations_are_counted_by_day(store: Path) -> None:
    rows = some_rows()
    expected = []
    for day in sorted({row.day for row in rows}):
        chosen = [row for row in rows if row.day == day]
        users, events = len({row.installation_id for row in chosen}), sum(row.count for row in chosen)
        expected.append({"day": day, "events": events, "rows": len(chosen), "installations": users})
    assert read_view(store, "daily_active") == expected


@pytest.mark.parametrize("by", ["week", "month"])
def test_active_new_returned_and_lost_installations_are_counted(store: Path, by: str) -> None:
    count = Count([(row, LAST) for row in some_rows()], Options(), LAST + timedelta(days=99))
    expected = [
        {by: period.isoformat(), **dict(zip(("active", "new", "returned", "lost"), numbers, strict=True))}
        for period in sorted(count.active(by))
        for numbers in [count.activity(by, period)]
    ]
    assert read_view(store, f"{by}ly_active") == expected


def test_adoption_counts_each_installation_of_a_week_once(store: Path) -> None:
    count = Count([(row, LAST) for row in some_rows()], Options(), LAST)
    expected: list[dict[str, Any]] = [
        {"week": week.isoformat(), "deepchecks_version": version, "installations": users,
         "percent_of_active": round(100 * users / len(who), 1)}
        for week, who in sorted(count.active("week").items())
        for version, users in sorted(count.adoption(week).items())
    ]  # fmt: skip
    assert read_view(store, "adoption") == expected
    shares = dict.fromkeys(map(str, count.active("week")), 0.0)
    for line in expected:
        shares[str(line["week"])] += line["percent_of_active"]
    assert all(99.8 < share < 100.2 for share in shares.values())


def test_the_funnel_counts_installations_that_made_all_steps(store: Path) -> None:
    count = Count([(row, LAST) for row in some_rows()], Options(since=LAST - timedelta(days=60)), LAST)
    (line,) = read_view(store, "funnel")
    assert list(line.values()) == count.funnel()
    assert line["imported"] > line["imported_and_ran"] > line["imported_ran_and_exported"] > 0


def test_retention_counts_the_installations_that_return(store: Path) -> None:
    weeks: dict[str, set[str]] = {}
    for row in some_rows():
        weeks.setdefault(row.installation_id, set()).add(monday(row))
    expected: dict[tuple[str, int], int] = {}
    for seen in weeks.values():
        for week in seen:
            later = (date.fromisoformat(week) - date.fromisoformat(min(seen))).days // 7
            expected[min(seen), later] = expected.get((min(seen), later), 0) + 1
    found = {(row["first_week"], row["weeks_later"]): row["installations"] for row in read_view(store, "retention")}
    assert found == expected
    assert all(row["percent_of_first_week"] == 100 for row in read_view(store, "retention") if not row["weeks_later"])


def test_usage_counts_each_value_of_each_field(store: Path) -> None:
    found = {(row["field"], row["value"]): row["installations"] for row in read_view(store, "usage")}
    for version in VERSIONS:
        users = {row.installation_id for row in some_rows() if row.environment.deepchecks_version == version}
        assert found["version", version] == len(users)


def test_rows_are_shown_as_they_were_sent(store: Path) -> None:
    expected = [
        {
            "uid": row.uid,
            "day": row.day,
            "event": row.event,
            "count": row.count,
            "installation_id": row.installation_id,
            "received_day": LAST.isoformat(),
            **row.environment._asdict(),
        }
        for row in some_rows()
    ]
    assert read_view(store, "rows") == expected
