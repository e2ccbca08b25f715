"""`view`: the page's numbers and bytes are the spool's, nothing in it is loaded or run, stored text is only text."""

import hashlib
import json
import re
import stat
import webbrowser
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from deepchecks_telemetry.cli import view
from deepchecks_telemetry.cli.page.chart import EPOCH, LAST_DAY, MOST_BARS, bars, ceiling
from deepchecks_telemetry.cli.page.html import tag
from deepchecks_telemetry.spool.catalogue import EVENTS

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]
Sql = Callable[..., list[Any]]
Files = Callable[[], dict[str, bytes]]

TODAY = 20_000


class Reading(HTMLParser):
    """What a browser would make of the page: its tags, their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def page(deepchecks: Run) -> Callable[[], str]:
    def write(**variables: str) -> str:
        done = deepchecks("view", "--output", "-", **variables)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return write


def test_one_page_answers_whether_something_is_sent_and_what_exactly(
    page: Callable[[], str], deepchecks: Run, record: Record, receiver: Any
) -> None:
    assert record("run-check", "run-check", "run-suite") == [True] * 3
    quiet = Reading(page()).text
    assert "Telemetry is on decided by the default.Nothing is sent: no endpoint is set." in quiet
    assert deepchecks("preview").stdout in quiet
    deepchecks("enable", "--endpoint", receiver.url)
    assert deepchecks("flush").returncode == 0
    assert record("package-import") == [True]
    told = Reading(page()).text
    assert f"Counts are sent to {receiver.url}/v1/logs, at most once a day." in told
    assert "recorded4pending0delivered3sealed1" in told
    assert deepchecks("preview").stdout in told
    (first, _) = json.loads(deepchecks("sent", "--json").stdout)
    assert f"{receiver.url}/v1/logsdelivered{first['sha256'][:8]}" in told


def test_every_state_of_an_event_has_its_place_in_the_numbers_by_day(
    page: Callable[[], str], deepchecks: Run, record: Record, receiver: Any, tmp_path: Path
) -> None:
    assert record("run-check", "run-check") == [True] * 2
    deepchecks("enable", "--endpoint", receiver.url)
    assert deepchecks("flush").returncode == 0
    assert record("run-check") == [True]
    assert deepchecks("export", str(tmp_path / "counts.jsonl")).returncode == 0
    assert record(*["run-suite"] * 4) == [True] * 4
    told = Reading(page()).text
    assert "0 pending4 sealed1 exported2 delivered" in told
    day = deepchecks("inspect").stdout.splitlines()[-1].split()[0]
    assert f"day {day}: 4 sealed, 1 exported, 2 delivered" in told


def test_a_machine_that_never_recorded_has_a_page_and_still_no_file(page: Callable[[], str], files: Files) -> None:
    told = Reading(page()).text
    assert "Nothing is recorded yet." in told
    assert "No request: nothing is pending." in told
    assert all(event.name in told for event in EVENTS)
    assert files() == {}


def test_off_draws_what_is_there_and_seals_nothing(page: Callable[..., str], deepchecks: Run, record: Record) -> None:
    assert record("run-check") == [True]
    told = Reading(page(DO_NOT_TRACK="1")).text
    assert "Nothing is sent: telemetry is off, decided by DO_NOT_TRACK." in told
    assert "No request: telemetry is off, decided by DO_NOT_TRACK." in told
    assert json.loads(deepchecks("status", "--json").stdout)["sealed"] == 0


def test_nothing_on_the_page_is_loaded_and_its_policy_names_its_one_style(
    page: Callable[[], str], record: Record
) -> None:
    assert record("run-check") == [True]
    text = page()
    found = Reading(text)
    assert {"script", "link", "img", "iframe", "a", "form", "object", "base"} & set(found.tags) == set()
    assert {name for name, _ in found.attributes} & {"src", "href", "style", "srcset", "action", "onclick"} == set()
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert re.findall(r"url\(([^)]*)\)|@import", style) == ["#hatch"]
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert ("content", policy) in found.attributes
    assert found.tags["meta"] == 3


HOSTILE = "</title></table><script>alert(1)</script><img src=x onerror=alert(1)>\"'&lt;\u202e\x1b[2J\r\n\x00"


@pytest.mark.parametrize("column", ["outcome", "endpoint", "sha256", "state", "tried_at", "attempts", "events", "rows"])
def test_a_hostile_ledger_is_text(
    column: str, page: Callable[[], str], deepchecks: Run, record: Record, sql: Sql
) -> None:
    assert record("run-check") == [True]
    deepchecks("preview")
    before = Reading(page()).tags
    sql(f"UPDATE batches SET {column} = ?", HOSTILE)
    hostile = page()
    assert Reading(hostile).tags.keys() <= before.keys() | {"p"}
    assert "<script" not in hostile
    assert hostile.replace("\n", "").isprintable()


def test_a_hostile_environment_identifier_and_variable_are_text(
    page: Callable[..., str], record: Record, sql: Sql
) -> None:
    assert record("run-check") == [True]
    before = Reading(page()).tags
    sql("UPDATE environments SET deepchecks_version = ?, os_name = ?, python_name = ?, runtime = ?", *[HOSTILE] * 4)
    sql("UPDATE spool SET installation = ?", HOSTILE)
    hostile = page()
    found = Reading(hostile)
    assert found.tags == before
    assert found.text.count("<script>alert(1)</script>") == 5
    assert hostile.replace("\n", "").isprintable()


@pytest.mark.parametrize("day", ["9223372036854775807", "'tomorrow'", "x'1b'", "-1", "2932896", "1.5"])
def test_a_day_that_no_calendar_has_does_not_stop_the_picture(
    day: str, page: Callable[[], str], deepchecks: Run, record: Record, sql: Sql
) -> None:
    assert record("run-check", "run-suite") == [True] * 2
    deepchecks("preview")
    sql(f"UPDATE rows SET day = {day} WHERE event = 2")
    assert page().count("<svg") > 1


def test_it_opens_a_browser_on_a_file_of_this_user_alone_which_disable_takes_away(
    deepchecks: Run, record: Record, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def open_page(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", open_page)
    assert record("run-check") == [True]
    for _ in range(2):
        assert deepchecks("view").returncode == 0
    (written,) = (home / "state").glob("*.html")
    assert opened == [written.as_uri()] * 2
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert "run-check" in written.read_text("utf-8")
    assert deepchecks("disable").returncode == 0
    assert not written.exists()


def test_without_a_browser_it_says_what_to_do(deepchecks: Run, record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    assert record("run-check") == [True]
    done = deepchecks("view")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: No browser was found. ")


def test_a_file_that_cannot_be_written_is_one_line(deepchecks: Run, tmp_path: Path) -> None:
    done = deepchecks("view", "--output", str(tmp_path / "none" / "view.html"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: No such file or directory: ")


def test_in_a_notebook_it_is_a_frame_that_may_run_nothing(record: Record, page: Callable[[], str]) -> None:
    assert record("run-check") == [True]
    shown = view()
    assert shown is view
    found = Reading(shown._repr_html_())
    assert found.tags == {"iframe": 1}
    inside = dict(found.attributes)
    assert inside["sandbox"] is None  # present and empty: nothing is allowed
    assert Reading(str(inside["srcdoc"])).tags.keys() <= Reading(page()).tags.keys()


def test_in_a_notebook_an_error_is_a_line_too(home: Path) -> None:
    home.mkdir()
    (home / "state").write_text("no folder")
    shown = view._repr_html_()
    assert "The page cannot be created. Run deepchecks telemetry view to see why." in shown
    assert str(home) not in shown


def test_what_tag_did_not_make_is_escaped() -> None:
    assert tag("p", "<b>", tag("b", "&"), class_='"') == '<p class="&quot;">&lt;b&gt;<b>&amp;</b></p>'


@pytest.mark.parametrize("span", [0, 13, 14, 100, 119, 120, 700, 1826, 3650, 10_000, 200_000, LAST_DAY - TODAY])
def test_whatever_the_years_the_bars_hold_every_day_once_and_are_few(span: int) -> None:
    days = {TODAY - 5: Counter(delivered=1)} | {
        TODAY + day: Counter(delivered=1) for day in range(0, span + 1, max(1, span // 999))
    }
    days[TODAY + span] = Counter(delivered=7)
    unit, drawn = bars(days, TODAY)
    assert sum(bar.total for bar in drawn) == sum(sum(sums.values()) for sums in days.values())
    assert len(drawn) <= MOST_BARS + 2
    assert drawn[0].start <= EPOCH + timedelta(TODAY - 13)
    assert all(unit.floor(bar.start) == bar.start for bar in drawn)
    starts = [bar.start for bar in drawn]
    assert starts == sorted(set(starts))


def test_a_bar_is_a_day_a_week_a_month_or_a_year() -> None:
    def unit(span: int) -> tuple[str, date]:
        made, drawn = bars({TODAY - span: Counter(delivered=1)}, TODAY)
        return made.name, drawn[0].start

    assert unit(30) == ("day", date(2024, 9, 4))
    assert unit(300) == ("week", date(2023, 12, 4))
    assert unit(1826) == ("month", date(2019, 10, 1))
    assert unit(10_000) == ("year", date(1997, 1, 1))


@pytest.mark.parametrize(
    ("largest", "top"), [(0, 2), (1, 2), (3, 4), (9, 10), (10, 10), (11, 20), (61, 80), (999, 1000)]
)
def test_the_axis_ends_at_a_round_even_number(largest: int, top: int) -> None:
    assert ceiling(largest) == top
