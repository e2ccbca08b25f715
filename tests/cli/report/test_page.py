"""The page of a report loads and runs nothing, escapes what is stored, and its charts are lines through the numbers."""

import base64
import hashlib
import re
import sys
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from deepchecks_telemetry.cli.errors import CliError
from deepchecks_telemetry.cli.report.charts import line_chart, marks_up_to
from deepchecks_telemetry.cli.report.page import as_html
from deepchecks_telemetry.collector import Options, report
from deepchecks_telemetry.collector.otlp import Row
from deepchecks_telemetry.collector.store import Store
from deepchecks_telemetry.spool.catalogue import Environment

TODAY = date(2026, 1, 20)
ENVIRONMENT = Environment("0.19.1", "linux", "debian", "12", "cpython", "3.11", "script")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    rows = [
        Row(
            f"{number:032x}",
            (TODAY - timedelta(days=number)).isoformat(),
            "run-check",
            2,
            ENVIRONMENT,
            f"{number % 7:032x}",
        )
        for number in range(60)
    ]
    opened = Store(tmp_path / "store.db")
    opened.append(rows, received=TODAY)
    opened.close()
    return tmp_path / "store.db"


class Page(HTMLParser):
    """The tags and attribute names of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}


def test_a_page_loads_nothing_runs_nothing_and_allows_only_its_own_style(store: Path) -> None:
    text = as_html(report(store, today=TODAY))
    page = Page(text)
    assert "svg" in page.tags
    assert page.tags & {"script", "link", "img", "iframe", "object", "form", "a", "use", "image"} == set()
    assert page.names & {"src", "href", "style", "action"} == set()
    style = text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in text
    assert "url(" not in style


def test_a_page_has_its_range_its_date_and_what_the_numbers_mean(store: Path) -> None:
    text = as_html(report(store, Options(min_cell=5, event="run-check"), today=TODAY))
    for part in (
        "2026-01-20",
        "only event run-check",
        "not a sample of all users",
        "are not collected",
        "more than 100 %",
        "multiples of 5",
    ):
        assert part in text


def test_retention_without_new_installations_is_a_sentence_instead_of_an_empty_table(store: Path) -> None:
    sentence = r"None of the last \d+ (day|week)s has enough new installations"
    assert re.search(sentence, as_html(report(store, Options(by="day"), today=TODAY)))
    assert not re.search(sentence, as_html(report(store, today=TODAY)))


def test_a_line_goes_through_its_numbers_and_has_gaps_where_there_are_none() -> None:
    days = [date(2026, 1, 5) + timedelta(days=7 * week) for week in range(5)]
    paths = re.findall(r' d="([^"]*)"', line_chart(days, {"new": [0, 50, None, 100, 0]}, label="New"))
    points = [[float(number) for number in re.findall(r"[\d.]+", path)] for path in paths]
    assert [len(path) // 2 for path in points] == [2, 2]
    (x0, bottom, x1, middle), (x3, top, x4, _) = points
    assert (x1 - x0, x3 - x1, x4 - x3) == pytest.approx((x1, 2 * x1, x1), abs=0.5)
    assert (top, middle) == pytest.approx((0, bottom / 2), abs=0.2)


@pytest.mark.parametrize(
    ("largest", "marks"),
    [(0, [0, 1]), (3, [0, 1, 2, 3]), (7, [0, 5, 10]), (100, [0, 50, 100]), (1234, [0, 500, 1000, 1500])],
)
def test_the_marks_of_an_axis_are_few_and_round(largest: int, marks: list[int]) -> None:
    assert marks_up_to(largest) == marks


def test_a_page_without_leather_is_an_error_in_one_line(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "leather", None)
    with pytest.raises(CliError, match=r"pip install 'deepchecks-telemetry\[collector\]'"):
        as_html(report(store, today=TODAY))
