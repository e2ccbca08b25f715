"""A report's numbers equal an independent count of what was appended."""

import json
import random
from collections import Counter
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import pytest

import deepchecks_telemetry.collector as room
from deepchecks_telemetry.collector import CollectorError, report
from deepchecks_telemetry.collector.store import Store
from deepchecks_telemetry.collector.wire import Row
from deepchecks_telemetry.spool.catalogue import NUMBERS, Environment

DAY = date(2025, 11, 24)


def some_rows(number: int) -> list[Row]:
    chance = random.Random(7)

    def row(uid: int) -> Row:
        environment = Environment(
            chance.choice(["0.19.0", "0.19.1"]),
            "linux",
            chance.choice(["debian", "ubuntu", "fedora"]),
            "12",
            "cpython",
            chance.choice(["3.10", "3.11"]),
            chance.choice(["script", "jupyter", "ci"]),
        )
        day = (DAY - timedelta(days=chance.randrange(30))).isoformat()
        installation = str(UUID(int=chance.randrange(9)))
        return Row(
            str(UUID(int=uid)), day, chance.choice(list(NUMBERS)), chance.randint(1, 99), environment, installation
        )

    return [row(uid) for uid in range(number)]


def counted(pairs: list[tuple[str, int]]) -> dict[str, int]:
    counter: Counter[str] = Counter()
    for name, count in pairs:
        counter[name] += count
    return dict(counter)


def test_a_report_agrees_with_an_independent_count(tmp_path: Path) -> None:
    rows = some_rows(2_000)
    with closing(Store(tmp_path / "store.db")) as store:
        store.append(rows[:1_200], received=DAY)
        store.append(rows[800:], received=DAY)
        found = report(tmp_path / "store.db")
    assert found.as_dict() == {
        "events": sum(row.count for row in rows),
        "rows": 2_000,
        "installations": len({row.installation_id for row in rows}),
        "by_event": counted([(row.event, row.count) for row in rows]),
        "by_day": counted([(row.day, row.count) for row in rows]),
        "by_version": counted([(row.environment.deepchecks_version, row.count) for row in rows]),
        "by_os": counted([(row.environment.os_name, row.count) for row in rows]),
        "by_python": counted([(row.environment.python_version, row.count) for row in rows]),
        "by_runtime": counted([(row.environment.runtime, row.count) for row in rows]),
    }
    assert json.loads(json.dumps(found.as_dict())) == found.as_dict()


def test_days_are_in_order_and_events_most_frequent_first(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "store.db")) as store:
        store.append(some_rows(500), received=DAY)
    found = report(tmp_path / "store.db")
    assert list(found.by_day) == sorted(found.by_day)
    assert list(found.by_event.values()) == sorted(found.by_event.values(), reverse=True)


def test_an_empty_store_is_reported_as_empty(tmp_path: Path) -> None:
    Store(tmp_path / "store.db").close()
    assert report(tmp_path / "store.db") == (0, 0, 0, {}, {}, {}, {}, {}, {})


def test_a_store_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(CollectorError, match="cannot be read"):
        report(tmp_path / "store.db")
    assert not list(tmp_path.iterdir())


def test_the_rooms_public_names_are_these() -> None:
    assert room.__all__ == ["HOST", "PORT", "CollectorError", "Report", "report", "running", "serve"]
