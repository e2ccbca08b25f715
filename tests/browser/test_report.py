"""The page of `collector report` in a browser: nothing is loaded or overflows, and three years are a short page."""

import random
from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime, timedelta, timezone
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from deepchecks_telemetry.cli.report.page import as_html
from deepchecks_telemetry.collector import Options, Report, report, wording
from deepchecks_telemetry.collector.otlp import Row
from deepchecks_telemetry.collector.store import Store
from deepchecks_telemetry.spool.catalogue import EVENT_NUMBERS, Environment

if TYPE_CHECKING:
    from playwright.sync_api import Page

Show = Callable[..., "Page"]
Made = Callable[..., Report]

LIGHT = {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}}
DARK = {"color_scheme": "dark", "viewport": {"width": 1280, "height": 900}}
PHONE = {"color_scheme": "light", "viewport": {"width": 390, "height": 844}, "has_touch": True}
EMPTY, WEEK, THREE_YEARS = 0, 1, 156
TODAY = datetime.now(timezone.utc).date()
SYSTEMS = ("debian", "ubuntu", "fedora", "windows", "macos", "alpine", "rhel", "amzn", "arch", "rocky")
RUNTIMES = ("script", "jupyter", "ci", "docker", "kubernetes", "vscode", "colab", "databricks")


def some_rows(weeks: int) -> list[Row]:
    chance = random.Random(6)
    rows = []
    for number in range(weeks * 60):
        ago = 1 + number // 60 * 7 + chance.randrange(7)
        version = f"0.{20 - ago // 120}.{chance.randrange(3)}"
        who, day = chance.randrange(20 + 8 * (weeks - number // 60)), TODAY - timedelta(days=ago)
        values = (version, "linux", SYSTEMS[who % 10], "12", "cpython", f"3.{9 + who % 5}", RUNTIMES[who % 8])
        event, installation = chance.choice(list(EVENT_NUMBERS)), str(UUID(int=who))
        rows.append(Row(str(UUID(int=number)), day.isoformat(), event, 3, Environment(*values), installation))
    return sorted(rows, key=lambda row: row.day)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Write the page of a store with this many weeks, and return its report."""

    def write(weeks: int, least: int = 5) -> Report:
        with closing(Store(tmp_path / "store.db")) as store:
            for day, rows in groupby(some_rows(weeks), lambda row: row.day):
                store.append(list(rows), received=date.fromisoformat(day) + timedelta(days=1))
        result = report(tmp_path / "store.db", Options(min_cell=least))
        (tmp_path / "view.html").write_text(as_html(result), "utf-8")
        return result

    return write


@pytest.mark.parametrize("weeks", [EMPTY, WEEK, THREE_YEARS])
def test_axe_finds_no_violation(weeks: int, show: Show, made: Made, tmp_path: Path, axe: str) -> None:
    made(weeks)
    for context in (LIGHT, DARK, PHONE):
        page = show(tmp_path / "view.html", **context, bypass_csp=True)  # the policy would block axe too
        for summary in page.locator("summary").all():
            summary.click()
        page.add_script_tag(content=axe)
        result = page.evaluate("axe.run(document, {resultTypes: ['violations', 'passes']})")
        assert len(result["passes"]) > 10
        assert [(rule["id"], [node["html"][:200] for node in rule["nodes"]]) for rule in result["violations"]] == []


@pytest.mark.parametrize("weeks", [EMPTY, WEEK, THREE_YEARS])
def test_a_phone_shows_the_page_without_horizontal_scrolling(
    weeks: int, show: Show, made: Made, tmp_path: Path
) -> None:
    made(weeks)
    page = show(tmp_path / "view.html", **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    heights = page.locator("svg text").evaluate_all("all => all.map(one => one.getBoundingClientRect().height)")
    assert min([*heights, 99]) >= 11  # a font of about 10 pixels


@pytest.mark.parametrize("weeks", [EMPTY, WEEK, THREE_YEARS])
def test_no_table_is_wider_than_a_sheet_of_paper(weeks: int, show: Show, made: Made, tmp_path: Path) -> None:
    made(weeks, 1)
    page = show(tmp_path / "view.html", viewport={"width": 718, "height": 1047})  # A4 between Chromium's margins
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 718
    tables = page.locator(".wide:not(details .wide)")
    assert tables.evaluate_all("all => all.filter(one => one.scrollWidth > one.clientWidth).length") == 0


def test_the_page_of_three_years_is_as_short_as_that_of_a_quarter(show: Show, made: Made, tmp_path: Path) -> None:
    counts = made(THREE_YEARS)
    assert len(counts.activity["week"]) > 150
    page = show(tmp_path / "view.html", **LIGHT)
    assert page.evaluate("document.documentElement.scrollHeight") < 3_500
    assert page.locator("svg path").count() > 8
    assert page.locator("tr").count() < 250


def test_the_tables_show_the_numbers_of_the_report(show: Show, made: Made, tmp_path: Path) -> None:
    counts = made(THREE_YEARS, 1)
    page = show(tmp_path / "view.html", **LIGHT)
    page.get_by_text("Table of the last 12 weeks").first.click()
    shown = [line.split("\t") for line in page.locator("table").first.locator("tbody tr").all_inner_texts()]
    expected = list(counts.activity["week"].items())[-12:]
    assert [(line[0], int(line[1].replace(",", ""))) for line in shown] == [
        (week, one.active) for week, one in expected
    ]
    cohorts = wording.last_cohorts(counts, 10)
    heat_map = [line.locator("td").all_inner_texts() for line in page.locator(".retention tbody tr").all()]
    assert len(heat_map) == len(cohorts) > 5
    for cells, numbers in zip(heat_map, cohorts.values(), strict=True):
        percents = [wording.percent(number, numbers[0]) for number in numbers[1:]]
        assert cells == [str(numbers[0]), *percents, *[""] * (len(heat_map[0]) - len(numbers))]
    assert any("0" in cells[1:] for cells in heat_map)
    text = page.inner_text("body")
    for statement in ("not a sample of all users", "Names of checks and their results are not collected", str(TODAY)):
        assert statement in text


@pytest.mark.parametrize("context", [LIGHT, DARK], ids=["light", "dark"])
def test_lines_and_texts_of_a_chart_have_the_colours_of_the_page(
    context: dict[str, object], show: Show, made: Made, tmp_path: Path
) -> None:
    made(THREE_YEARS)
    page = show(tmp_path / "view.html", **context)
    colours = page.locator("svg text, svg path").evaluate_all(
        "all => all.map(one => getComputedStyle(one)[one.tagName == 'text' ? 'fill' : 'stroke'])"
    )
    assert not {"rgb(0, 0, 0)", "none"} & set(colours)
    soft = {"light": "rgb(81, 92, 107)", "dark": "rgb(167, 177, 191)"}
    assert soft[str(context["color_scheme"])] in colours
