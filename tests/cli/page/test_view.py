"""`view`: the page shows the numbers and bytes of the spool, loads and runs nothing, and escapes stored text."""

import hashlib
import json
import os
import re
import stat
import sys
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
from deepchecks_telemetry.cli.html import tag
from deepchecks_telemetry.cli.page import counts
from deepchecks_telemetry.cli.page.chart import (
    CENTURY,
    EPOCH,
    LAST_DAY,
    MAX_BARS,
    MONTH,
    UNITS,
    YEAR,
    Unit,
    bars,
    ceiling,
)
from deepchecks_telemetry.spool.catalogue import EVENTS

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]
Sql = Callable[..., list[Any]]
Files = Callable[[], dict[str, bytes]]

TODAY = 20_000


class ParsedPage(HTMLParser):
    """The tags, attributes and text of a page."""

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


def test_the_page_shows_whether_counts_are_sent_and_the_exact_body(
    page: Callable[[], str], deepchecks: Run, record: Record, receiver: Any
) -> None:
    assert record("run-check", "run-check", "run-suite") == [True] * 3
    text = ParsedPage(page()).text
    assert "Telemetry is on decided by the default.Nothing is sent: no endpoint is set." in text
    assert deepchecks("preview").stdout in text
    deepchecks("enable", "--endpoint", receiver.url)
    assert deepchecks("flush").returncode == 0
    assert record("package-import") == [True]
    text = ParsedPage(page()).text
    assert f"Counts are sent to {receiver.url}/v1/logs, at most once a day." in text
    assert "recorded4pending0delivered3sealed1" in text
    assert deepchecks("preview").stdout in text
    (_, first) = json.loads(deepchecks("sent", "--json").stdout)
    assert f"{receiver.url}/v1/logsdelivered{first['sha256'][:8]}" in text


def test_the_counts_by_day_include_every_state(
    page: Callable[[], str], deepchecks: Run, record: Record, receiver: Any, tmp_path: Path
) -> None:
    assert record("run-check", "run-check") == [True] * 2
    deepchecks("enable", "--endpoint", receiver.url)
    assert deepchecks("flush").returncode == 0
    assert record("run-check") == [True]
    assert deepchecks("export", str(tmp_path / "counts.jsonl")).returncode == 0
    assert record(*["run-suite"] * 4) == [True] * 4
    text = ParsedPage(page()).text
    assert "0 pending4 sealed1 exported2 delivered" in text
    day = deepchecks("inspect").stdout.splitlines()[-1].split()[0]
    assert f"day {day}: 4 sealed, 1 exported, 2 delivered" in text


def test_failed_attempts_are_counted_and_the_last_reason_is_shown(
    page: Callable[[], str], deepchecks: Run, record: Record, receiver: Any, tmp_path: Path
) -> None:
    assert record("run-check") == [True]
    deepchecks("enable", "--endpoint", receiver.url)
    assert "No upload attempt yet." in ParsedPage(page()).text
    receiver.status = 503
    for _ in range(2):
        assert deepchecks("flush").returncode == 1
    text = ParsedPage(page()).text
    reason = f", 127.0.0.1:{receiver.url.rpartition(':')[2]}: HTTP 503: the receiver is not available."
    assert re.search(rf"The last upload failed: \S+{reason} No action needed", text)
    assert re.search(rf"2 of 2 upload attempts failed. The last failure: \S+{reason}", text)
    receiver.status = 200
    assert deepchecks("flush").returncode == 0
    text = ParsedPage(page()).text
    assert "2 of 3 upload attempts failed. Later attempts succeeded, so the reasons are no longer stored." in text
    assert "The last upload failed" not in text
    receiver.status = 403
    assert record("run-suite") == [True]
    assert deepchecks("flush").returncode == 1
    assert deepchecks("export", str(tmp_path / "counts.jsonl")).returncode == 0
    text = ParsedPage(page()).text
    assert "3 of 4 upload attempts failed. Later attempts succeeded" in text
    assert "Events of these batches by the day of the last attempt (UTC)1 exported1 delivered" in text


def test_the_section_names_the_unit_of_its_bars(page: Callable[..., str], record: Record, sql: Sql) -> None:
    assert record("run-check", "run-suite") == [True] * 2
    for age, title, note in (
        (0, "day by day", "Each bar is a day (UTC). For the numbers of each day, open a month."),
        (365, "week by week", "Each bar is a week from Monday to Sunday (UTC)."),
        (1826, "month by month", "Each bar is a month (UTC)."),
        (10_000, "year by year", "Each bar is a year (UTC)."),
    ):
        sql("UPDATE events SET day = (SELECT max(day) FROM events) - ? WHERE id = 1", age)
        text = ParsedPage(page(DO_NOT_TRACK="1")).text
        assert f"Events, {title}" in text
        assert note in text


def test_each_month_or_year_is_a_closed_block_with_the_numbers_of_its_days(
    page: Callable[..., str], record: Record, sql: Sql
) -> None:
    assert record(*["run-check"] * 3) == [True] * 3
    for days, titles in (
        ((16_801, 16_802, 16_832), ["2016-02", "2016-01"]),
        ((16_801, 17_531, 17_532), ["2018-01", "2017-12", "2016-01"]),
    ):
        for number, day in enumerate(days, 1):
            sql("UPDATE events SET day = ? WHERE id = ?", day, number)
        document = page(DO_NOT_TRACK="1")
        blocks = re.findall(r"<details><summary>([-\d]+): (\d+) pending</summary>.*?<tbody>(.*?)</tbody>", document)
        assert [title for title, *_ in blocks] == titles
        assert sum(int(number) for _, number, _ in blocks) == sum(body.count("<tr>") for *_, body in blocks) == 3


def test_without_a_spool_there_is_a_page_and_no_file_is_created(page: Callable[[], str], files: Files) -> None:
    text = ParsedPage(page()).text
    assert "Nothing is recorded yet." in text
    assert "No request: nothing is pending." in text
    assert all(event.name in text for event in EVENTS)
    assert files() == {}


def test_with_telemetry_off_the_page_is_written_and_nothing_is_sealed(
    page: Callable[..., str], deepchecks: Run, record: Record
) -> None:
    assert record("run-check") == [True]
    text = ParsedPage(page(DO_NOT_TRACK="1")).text
    assert "Nothing is sent: telemetry is off, decided by DO_NOT_TRACK." in text
    assert "No request: telemetry is off, decided by DO_NOT_TRACK." in text
    assert json.loads(deepchecks("status", "--json").stdout)["sealed"] == 0


def test_the_page_loads_nothing_and_its_policy_allows_only_its_style_sheet(
    page: Callable[[], str], record: Record
) -> None:
    assert record("run-check") == [True]
    document = page()
    parsed = ParsedPage(document)
    assert {"script", "link", "img", "iframe", "a", "form", "object", "base"} & set(parsed.tags) == set()
    assert {name for name, _ in parsed.attributes} & {"src", "href", "style", "srcset", "action", "onclick"} == set()
    (style,) = re.findall(r"<style>(.*?)</style>", document, re.DOTALL)
    assert re.findall(r"url\(([^)]*)\)|@import", style) == ["#hatch-pending", "#hatch-sealed", "#hatch-parked"]
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert ("content", policy) in parsed.attributes
    assert parsed.tags["meta"] == 3


HOSTILE = "</title></table><script>alert(1)</script><img src=x onerror=alert(1)>\"'&lt;\u202e\x1b[2J\r\n\x00"


@pytest.mark.parametrize("column", ["outcome", "endpoint", "sha256", "state", "tried_at", "attempts", "events", "rows"])
def test_hostile_text_in_the_ledger_is_escaped(
    column: str, page: Callable[[], str], deepchecks: Run, record: Record, sql: Sql
) -> None:
    assert record("run-check") == [True]
    deepchecks("preview")
    before = ParsedPage(page()).tags
    sql(f"UPDATE batches SET {column} = ?", HOSTILE)
    hostile = page()
    assert ParsedPage(hostile).tags.keys() <= before.keys() | {"p"}
    assert "<script" not in hostile
    assert hostile.replace("\n", "").isprintable()


def test_hostile_text_in_the_environment_and_the_identifier_is_escaped(
    page: Callable[..., str], record: Record, sql: Sql
) -> None:
    assert record("run-check") == [True]
    before = ParsedPage(page()).tags
    sql("UPDATE environments SET deepchecks_version = ?, os_name = ?, python_name = ?, runtime = ?", *[HOSTILE] * 4)
    sql("UPDATE spool SET installation = ?", HOSTILE)
    hostile = page()
    parsed = ParsedPage(hostile)
    assert parsed.tags == before
    assert parsed.text.count("<script>alert(1)</script>") == 5
    assert hostile.replace("\n", "").isprintable()


@pytest.mark.parametrize("day", ["9223372036854775807", "'tomorrow'", "x'1b'", "-1", "2932896", "1.5"])
def test_an_invalid_day_does_not_prevent_the_chart(
    day: str, page: Callable[[], str], deepchecks: Run, record: Record, sql: Sql
) -> None:
    assert record("run-check", "run-suite") == [True] * 2
    deepchecks("preview")
    sql(f"UPDATE rows SET day = {day} WHERE event = 2")
    assert page().count("<svg") > 1


def test_view_opens_a_private_file_in_the_browser_and_disable_removes_it(
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
    (path,) = (home / "state").glob("*.html")
    assert opened == [path.as_uri()] * 2
    assert os.name == "nt" or stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "run-check" in path.read_text("utf-8")
    assert deepchecks("disable").returncode == 0
    assert not path.exists()


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="the browser of this system needs no PATH")
def test_without_a_browser_the_page_is_written_and_its_path_is_printed(program: Run, record: Record) -> None:
    assert record("run-check") == [True]
    done = program("view", PATH="/nonexistent", DISPLAY="", WAYLAND_DISPLAY="", BROWSER="")
    assert done.returncode == 0
    path = Path(done.stdout.removeprefix("Wrote the page to ").rstrip("\n"))
    assert "run-check" in path.read_text("utf-8")
    assert done.stderr.startswith("No browser was found. Open that file, or ")
    assert done.stderr.count("\n") == 1


def test_a_file_that_cannot_be_written_is_one_line(deepchecks: Run, tmp_path: Path) -> None:
    done = deepchecks("view", "--output", str(tmp_path / "none" / "view.html"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: No such file or directory: ")


@pytest.mark.skipif(os.name != "nt", reason="only Windows has another encoding for files and pipes than for the screen")
def test_on_windows_a_redirected_page_is_in_the_encoding_that_it_declares(program: Run) -> None:
    done = program("view", "--output", "-", PYTHONIOENCODING="")  # empty: as if it were not set
    assert '<meta charset="utf-8">' in done.stdout
    assert "“By environment”" in done.stdout


def test_a_notebook_shows_the_page_in_a_sandboxed_frame(record: Record, page: Callable[[], str]) -> None:
    assert record("run-check") == [True]
    result = view()
    assert result is view
    parsed = ParsedPage(result._repr_html_())
    assert parsed.tags == {"iframe": 1}
    attributes = dict(parsed.attributes)
    assert attributes["sandbox"] is None  # present and empty, so nothing is allowed
    assert ParsedPage(str(attributes["srcdoc"])).tags.keys() <= ParsedPage(page()).tags.keys()


def test_a_notebook_shows_an_error_as_one_line(home: Path) -> None:
    home.mkdir(parents=True)
    (home / "state").write_text("a file")
    html = view._repr_html_()
    assert "The page cannot be created. Run deepchecks telemetry view to see why." in html
    assert str(home) not in html


def test_text_that_is_not_made_by_tag_is_escaped() -> None:
    assert tag("p", "<b>", tag("b", "&"), class_='"') == '<p class="&quot;">&lt;b&gt;<b>&amp;</b></p>'


@pytest.mark.parametrize("span", [0, 13, 14, 100, 119, 120, 700, 1826, 3650, 10_000, 200_000, LAST_DAY - TODAY])
def test_the_bars_contain_every_day_once_and_are_few(span: int) -> None:
    days = {TODAY - 5: Counter(delivered=1)} | {
        TODAY + day: Counter(delivered=1) for day in range(0, span + 1, max(1, span // 999))
    }
    days[TODAY + span] = Counter(delivered=7)
    unit, result = bars(days, TODAY)
    assert sum(bar.total for bar in result) == sum(sum(sums.values()) for sums in days.values())
    assert len(result) <= MAX_BARS + 2
    assert result[0].start <= EPOCH + timedelta(TODAY - 13)
    assert all(unit.floor(bar.start) == bar.start for bar in result)
    starts = [bar.start for bar in result]
    assert starts == sorted(set(starts))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
@pytest.mark.parametrize("day", [date(2024, 2, 29), date(2023, 12, 31), date(2000, 1, 1), date(2199, 6, 1), date.max])
def test_the_last_day_of_a_bar_is_before_the_next_bar(unit: Unit, day: date) -> None:
    last = unit.last_day(unit.floor(day))
    assert unit.floor(last) == unit.floor(day)
    assert last == date.max or unit.floor(last + timedelta(1)) == last + timedelta(1)


@pytest.mark.parametrize(("number", "unit"), [(24, MONTH), (25, YEAR), (12 * 24, YEAR), (12 * 24 + 1, CENTURY)])
def test_there_are_at_most_24_blocks(number: int, unit: Unit) -> None:
    days = {(date(1990 + month // 12, 1 + month % 12, 1) - EPOCH).days: Counter(pending=1) for month in range(number)}
    found, groups = counts._groups(days)
    assert (found, len(groups) <= 24) == (unit, True)
    assert {day for group in groups.values() for day in group} == set(days)


def test_a_bar_is_a_day_a_week_a_month_or_a_year() -> None:
    def first_bar(span: int) -> tuple[str, date]:
        unit, result = bars({TODAY - span: Counter(delivered=1)}, TODAY)
        return unit.name, result[0].start

    assert first_bar(30) == ("day", date(2024, 9, 4))
    assert first_bar(300) == ("week", date(2023, 12, 4))
    assert first_bar(1826) == ("month", date(2019, 10, 1))
    assert first_bar(10_000) == ("year", date(1997, 1, 1))


@pytest.mark.parametrize(
    ("largest", "top"), [(0, 2), (1, 2), (3, 4), (9, 10), (10, 10), (11, 20), (61, 80), (999, 1000)]
)
def test_the_axis_ends_at_a_round_even_number(largest: int, top: int) -> None:
    assert ceiling(largest) == top


def test_a_notebook_shows_no_identifier_batch_or_path(
    deepchecks: Run, record: Record, sql: Callable[..., list[Any]], home: Path, tmp_path: Path
) -> None:
    assert record("run-check") == [True]
    deepchecks("preview")
    assert record("run-suite") == [True]
    html = view._repr_html_()
    ((identifier,),) = sql("SELECT installation FROM spool")
    uids = [uid for (uid,) in sql("SELECT uid FROM rows")]
    digests = [digest[:8] for (digest,) in sql("SELECT sha256 FROM batches")]
    assert uids
    assert digests
    assert [word for word in (identifier, *uids, *digests, str(tmp_path)) if word in html] == []
    assert "not shown here, because a notebook keeps its output" in html.replace("Not", "not")
