"""The page in a browser: its numbers are those of the spool, it works by keyboard, and it makes no request."""

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deepchecks_telemetry.cli import view

from .conftest import deepchecks

if TYPE_CHECKING:
    from playwright.sync_api import Page

Write = Callable[[], Path]
Show = Callable[..., "Page"]
Fill = Callable[[int], None]
Status = Callable[[], dict[str, Any]]

LIGHT = {"color_scheme": "light", "viewport": {"width": 1100, "height": 900}}
DARK = {"color_scheme": "dark", "viewport": {"width": 1100, "height": 900}}
PHONE = {"color_scheme": "light", "viewport": {"width": 360, "height": 740}, "has_touch": True}
MONTH, YEAR, FIVE_YEARS, LONGEST = 30, 365, 1826, 10_000
MAX_RENDER_MS = 1000
OVERPRINTED = """cells => cells.filter(cell => {
  const text = document.createRange()
  text.selectNodeContents(cell)
  return text.getBoundingClientRect().right > cell.getBoundingClientRect().right + 1
}).map(cell => cell.innerText)"""


def flush_in_vain() -> None:
    """Try to upload to a port where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    command = [sys.executable, "-m", "deepchecks_telemetry.cli", "telemetry", "flush"]
    environ = {**os.environ, "DEEPCHECKS_TELEMETRY_ENDPOINT": url}
    assert subprocess.run(command, capture_output=True, timeout=60, env=environ).returncode == 1


def numbers(text: str) -> list[int]:
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", text)]


def test_the_numbers_on_the_page_are_those_of_the_spool(show: Show, write: Write, fill: Fill, status: Status) -> None:
    fill(45)
    page = show(write(), **LIGHT)
    report = status()
    names, values = (page.locator(f".figures {kind}").all_inner_texts() for kind in ("dt", "dd"))
    assert {name: numbers(value) for name, value in zip(names, values, strict=True)} == {
        "recorded": [report["recorded"]],
        "pending": [report["pending"]],
        "delivered": [0],
        "sealed": [report["sealed"]],
    }
    chart = page.locator(".chart").first
    bars = chart.locator("g > title").evaluate_all("titles => titles.map(title => title.textContent)")
    counts = [numbers(bar.partition(": ")[2]) for bar in bars]
    assert (len(bars), sum(map(sum, counts))) == (45, report["recorded"])
    heights = chart.locator("g").evaluate_all(
        "bars => bars.map(bar => Number(bar.querySelector('.sealed').getAttribute('height')))"
    )
    assert {round(height / count[0], 1) for height, count in zip(heights, counts, strict=True)} == {
        round(heights[0] / counts[0][0], 1)
    }
    rows = json.loads(deepchecks("inspect", "--json"))
    for summary in page.locator("section").first.locator("summary").all():
        summary.click()
    days = {
        line.split()[0]: sum(numbers(line.split(maxsplit=1)[1]))
        for line in page.locator("details .wide tbody tr").all_inner_texts()
    }
    assert days == {day: sum(row["count"] for row in rows if row["day"] == day) for day in {row["day"] for row in rows}}


def test_the_body_shown_is_the_one_that_preview_prints(show: Show, write: Write, fill: Fill) -> None:
    fill(3)
    page = show(write(), **LIGHT)
    assert page.locator("pre code").text_content() == deepchecks("preview")


def test_everything_is_reachable_by_keyboard(show: Show, write: Write, fill: Fill) -> None:
    fill(3)
    page = show(write(), **LIGHT)
    focused: list[str] = []
    while True:
        page.keyboard.press("Tab")
        name = page.evaluate(
            "(({tagName, ariaLabel, innerText}) => tagName + ': ' + (ariaLabel || innerText))(document.activeElement)"
        )
        if name.startswith("BODY") or name in focused:
            break
        focused.append(name)
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", name
        if name.startswith("SUMMARY"):
            page.keyboard.press("Enter")
            assert page.evaluate("document.activeElement.parentElement.open"), name
    assert any(re.fullmatch(r"SUMMARY: \d{4}-\d\d: \d+ sealed", name) for name in focused)
    assert any(re.fullmatch(r"DIV: Events in \d{4}-\d\d by day and state", name) for name in focused)
    assert any(name.startswith("SUMMARY: Body (") for name in focused)
    assert "PRE: The body of batch 1" in focused
    assert sum(name.startswith("DIV: ") for name in focused) == page.locator(".wide").count()


@pytest.mark.parametrize("days", [0, MONTH, FIVE_YEARS], ids=["empty", "a month", "five years"])
def test_axe_finds_no_violation(days: int, show: Show, write: Write, fill: Fill, axe: str) -> None:
    if days:
        fill(days)
    path = write()
    for context in (LIGHT, DARK, PHONE):
        page = show(path, **context, bypass_csp=True)  # the page's own policy would block axe's script too
        for summary in page.locator("summary").all()[-2 if days > MONTH else 0 :]:  # axe takes long on tables of years
            summary.click()
        page.add_script_tag(content=axe)
        result = page.evaluate("axe.run(document, {resultTypes: ['violations', 'passes']})")
        assert len(result["passes"]) > 15
        assert [(rule["id"], [node["html"][:200] for node in rule["nodes"]]) for rule in result["violations"]] == []


@pytest.mark.parametrize("width", [360, 390])
@pytest.mark.parametrize("days", [0, YEAR, FIVE_YEARS])
def test_a_phone_shows_the_page_without_scrolling_sideways(
    days: int, width: int, show: Show, write: Write, fill: Fill
) -> None:
    if days:
        fill(days)
        flush_in_vain()
    page = show(write(), **{**PHONE, "viewport": {"width": width, "height": 740}})
    for summary in page.locator("section").first.locator("summary").all()[:2]:
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # Neither do the frames of the tables scroll, nor does a text reach into the next column.
    assert page.locator(".wide").evaluate_all("all => all.filter(one => one.scrollWidth > one.clientWidth).length") == 0
    assert page.locator("td, th").evaluate_all(OVERPRINTED) == []
    sizes = page.locator("main *").evaluate_all("all => all.map(one => parseFloat(getComputedStyle(one).fontSize))")
    assert min(sizes) >= 12


def test_a_phone_shows_all_states_of_a_day_and_each_has_a_colour_or_pattern_of_its_own(
    show: Show, write: Write, fill: Fill, home: Path
) -> None:
    for state in ("delivered", "rejected", "exported", "parked", "sealed"):
        fill(3)
        deepchecks("preview")  # seals a batch, because there is no other that is sealed
        with closing(sqlite3.connect(home / "state" / "spool.db", isolation_level=None)) as connection:
            connection.execute("UPDATE batches SET state = ? WHERE state = 'sealed'", [state])
    fill(3)
    page = show(write(), **PHONE)
    page.locator("section").first.locator("summary").first.click()
    assert page.locator(".wide").evaluate_all("all => all.filter(one => one.scrollWidth > one.clientWidth).length") == 0
    swatches = page.locator(".legend").first.locator("rect")
    fills = swatches.evaluate_all("all => all.map(one => getComputedStyle(one).fill)")
    assert len(fills) == len(set(fills)) == 6


def test_an_option_of_a_command_is_not_broken(show: Show, write: Write) -> None:
    page = show(write(), **PHONE)
    options = page.locator("dt code .whole").filter(has_text="--")
    assert options.evaluate_all("all => all.map(one => [one.innerText, one.getClientRects().length])") == [
        ["--endpoint URL", 1]
    ]


def test_ten_thousand_days_are_rendered_in_less_than_a_second(show: Show, write: Write, fill: Fill) -> None:
    fill(LONGEST)
    page = show(write(), **LIGHT)
    timing = page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()")
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert max(timing["domComplete"], painted) - timing["fetchStart"] < MAX_RENDER_MS
    assert page.locator(".chart").first.locator("g").count() < 130
    assert page.locator(".chart g").count() < 24 * 54 + 2 * 130


def test_the_policy_blocks_scripts_and_requests(show: Show, write: Write, fill: Fill) -> None:
    fill(3)
    path = write()
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        path.write_text(
            path.read_text("utf-8").replace(
                "</main>",
                f"<script>document.title = 'run'</script><img src='{url}/x.png' onerror='document.title = 1'>"
                f"<link rel=stylesheet href='{url}/x.css'><p id=styled style='color: red'>styled</p></main>",
            ),
            "utf-8",
        )
        page = show(path, watched=False, **LIGHT)
        page.wait_for_load_state("networkidle")
        assert page.title() == "Deepchecks usage counts on this machine"
        assert page.locator("#styled").evaluate("one => getComputedStyle(one).color") != "rgb(255, 0, 0)"
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_notebook_shows_the_page_in_a_sandboxed_frame(show: Show, fill: Fill, status: Status, tmp_path: Path) -> None:
    fill(3)
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><title>notebook</title>{view._repr_html_()}", "utf-8")
    page = show(path, **LIGHT)
    frame = page.frame_locator("iframe")
    assert numbers(frame.locator(".figures dd").first.inner_text()) == [status()["recorded"]]
    assert frame.locator("main").evaluate("one => getComputedStyle(one).maxWidth") == "1024px"
    assert frame.locator("body").evaluate("() => self.origin") == "null"


def test_hostile_texts_are_escaped(show: Show, write: Write, fill: Fill, home: Path) -> None:
    fill(3)
    write()
    hostile = "<img src=http://127.0.0.1:9/x onerror=alert(1)>\"'></td></table><script>alert(1)</script>\u202e\x1b[2J"
    with closing(sqlite3.connect(home / "state" / "spool.db", isolation_level=None)) as connection:
        connection.execute("UPDATE environments SET os_name = ?, runtime = ?, deepchecks_version = ?", [hostile] * 3)
        connection.execute("UPDATE batches SET outcome = ?, endpoint = ?, sha256 = ?, tried_at = ?", [hostile] * 4)
        connection.execute("UPDATE spool SET installation = ?", [hostile])
    page = show(write(), **LIGHT)
    assert page.locator("img, script, iframe").count() == 0
    assert "<img src=http://127.0.0.1:9/x onerror=alert(1)>" in unescape(page.locator("footer").inner_text())
    assert r"\u202e\x1b[2J" in page.locator("footer").inner_text()
