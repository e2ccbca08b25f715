"""The numbers of a report equal an independent count of the rows."""

import base64
import csv
import hashlib
import io
import json
import random
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from uuid import UUID

import pytest

from deepchecks_telemetry import collector
from deepchecks_telemetry.collector import Cell, CollectorError, as_csv, as_html, report
from deepchecks_telemetry.collector.otlp import Row
from deepchecks_telemetry.collector.store import Store
from deepchecks_telemetry.spool.catalogue import EVENT_NUMBERS, Environment

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
            str(UUID(int=uid)),
            day,
            chance.choice(list(EVENT_NUMBERS)),
            chance.randint(1, 99),
            environment,
            installation,
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
        counts = report(tmp_path / "store.db")
    by = {
        "event": [row.event for row in rows],
        "day": [row.day for row in rows],
        "version": [row.environment.deepchecks_version for row in rows],
        "os": [row.environment.os_name for row in rows],
        "python": [row.environment.python_version for row in rows],
        "runtime": [row.environment.runtime for row in rows],
    }
    as_dict = counts.as_dict()
    installations = len({row.installation_id for row in rows})
    assert (as_dict["events"], as_dict["rows"], as_dict["installations"]) == (
        sum(row.count for row in rows),
        2_000,
        installations,
    )
    for name, values in by.items():
        assert as_dict[f"by_{name}"] == counted([(value, row.count) for value, row in zip(values, rows, strict=True)])
        seen = {(value, row.installation_id) for value, row in zip(values, rows, strict=True)}
        assert as_dict["installations_by"][name] == counted([(value, 1) for value, _ in seen])
    assert json.loads(json.dumps(as_dict)) == as_dict


def late(days: int) -> str:
    bounds = ((1, "0-1 days"), (7, "2-7 days"), (30, "8-30 days"), (90, "31-90 days"))
    return next((name for bound, name in bounds if days <= bound), "over 90 days")


def test_lateness_is_computed_from_the_day_of_receipt(tmp_path: Path) -> None:
    rows = some_rows(300)
    expected: Counter[str] = Counter()
    with closing(Store(tmp_path / "store.db")) as store:
        for shift, part in ((-1, rows[:100]), (0, rows[100:200]), (70, rows[200:])):
            received = DAY + timedelta(days=shift)
            store.append(part, received=received)
            for row in part:
                expected[late((received - date.fromisoformat(row.day)).days)] += row.count
    assert report(tmp_path / "store.db").as_dict()["by_lateness"] == dict(expected)
    assert len(expected) == 5


def test_retention_counts_returning_installations_by_week(tmp_path: Path) -> None:
    rows = some_rows(150)
    weeks: dict[str, set[date]] = {}
    for row in rows:
        day = date.fromisoformat(row.day)
        weeks.setdefault(row.installation_id, set()).add(day - timedelta(days=day.weekday()))
    expected: dict[str, list[int | None]] = {}
    for first in sorted({min(seen) for seen in weeks.values()}):
        cohort = [seen for seen in weeks.values() if min(seen) == first]
        last = max((max(seen) - first).days // 7 for seen in cohort)
        later = (first + timedelta(days=7 * week) for week in range(last + 1))
        expected[first.isoformat()] = [sum(week in seen for seen in cohort) for week in later]
    with closing(Store(tmp_path / "store.db")) as store:
        store.append(rows, received=DAY)
    assert report(tmp_path / "store.db").retention == expected


def test_no_exported_cell_is_below_the_minimum_of_installations(tmp_path: Path) -> None:
    rows = some_rows(60)
    with closing(Store(tmp_path / "store.db")) as store:
        store.append(rows, received=DAY)
    complete, merged = (report(tmp_path / "store.db", min_cell=least) for least in (1, 5))
    assert "other" in merged.by["day"]
    assert any(cell.installations < 5 for cell in complete.by["day"].values())
    for name, cells in merged.by.items():
        assert all(cell.installations >= 5 for cell in cells.values()), name
        assert sum(cell.events for cell in cells.values()) == complete.total.events
        assert sum(cell.rows for cell in cells.values()) == 60
    for text in (as_csv(merged), as_html(merged), json.dumps(merged.as_dict())):
        assert not any(day in text for day, cell in complete.by["day"].items() if cell.installations < 5)


def test_the_csv_has_the_same_columns_in_every_line(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "store.db")) as store:
        store.append(some_rows(200), received=DAY)
    counts = report(tmp_path / "store.db")
    lines = list(csv.DictReader(io.StringIO(as_csv(counts)), strict=True))
    assert all(None not in line and None not in line.values() for line in lines)
    assert {line["by"] for line in lines} == {"total", "retention", *counts.by}
    events = {line["value"]: int(line["events"]) for line in lines if line["by"] == "event"}
    assert events == counts.as_dict()["by_event"]


class Page(HTMLParser):
    """The tags, attribute names and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_loads_nothing_runs_nothing_and_allows_only_its_own_style(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "store.db")) as store:
        store.append(some_rows(200), received=DAY)
    text = as_html(report(tmp_path / "store.db"))
    page = Page(text)
    assert page.tags & {"script", "link", "img", "iframe", "object", "form", "a"} == set()
    assert page.names & {"src", "href", "style", "action"} == set()
    style = text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in text
    assert "prefers-color-scheme: dark" in style
    assert "run-check" in page.text


def test_a_page_escapes_the_content_of_an_edited_store(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\"'&"
    with closing(Store(tmp_path / "store.db")) as store:
        store.append(some_rows(3), received=DAY)
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection, connection:
        connection.execute("UPDATE cells SET value = value || ? WHERE field = 'event'", (evil,))
    page = Page(as_html(report(tmp_path / "store.db")))
    assert "script" not in page.tags
    assert evil in page.text


def test_days_are_in_order_and_events_most_frequent_first(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "store.db")) as store:
        store.append(some_rows(500), received=DAY)
    counts = report(tmp_path / "store.db")
    assert list(counts.by["day"]) == sorted(counts.by["day"])
    events = [cell.events for cell in counts.by["event"].values()]
    assert events == sorted(events, reverse=True)


def test_an_empty_store_is_reported_as_empty(tmp_path: Path) -> None:
    Store(tmp_path / "store.db").close()
    counts = report(tmp_path / "store.db", min_cell=5)
    assert (counts.total, counts.retention) == (Cell(), {})
    assert not any(counts.by.values())
    assert Page(as_html(counts)).text
    assert as_csv(counts).count("\n") == 2


def test_a_missing_store_is_reported_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(CollectorError, match="cannot be read"):
        report(tmp_path / "store.db")
    assert not list(tmp_path.iterdir())


def test_the_public_names_are_these() -> None:
    assert collector.__all__ == [
        *("HOST", "MIN_CELL", "PORT", "Cell", "CollectorError", "Loaded", "Report", "Share"),
        *("as_csv", "as_html", "load", "reading", "report", "running", "serve"),
    ]
