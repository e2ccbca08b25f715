"""The report as one HTML file that loads nothing and runs nothing: charts of all periods, tables of the last ones."""

import re
from collections.abc import Iterator
from datetime import date
from importlib.resources import files

from deepchecks_telemetry.cli.html import Html, document, tag
from deepchecks_telemetry.cli.output import escape_control_chars, number_text
from deepchecks_telemetry.cli.report import tables
from deepchecks_telemetry.cli.report.charts import Lines, line_chart
from deepchecks_telemetry.collector import Report, wording

PERIODS, COHORTS = 12, 10  # of a table; a chart has all
VERSIONS = 6  # lines of a chart
SHOWN_PAIRS = (("event", "runtime"), ("version", "python"))


def as_html(report: Report) -> str:
    """The document."""
    style = files(__package__).joinpath("page.css").read_text("utf-8")
    parts = [tag("section", tag("h2", *_days(str(title))), *content) for title, *content in _sections(report)]
    body = tag("main", _head(report), tag("div", *parts, class_="sections"))
    return document("Deepchecks usage", style, tag("body", body, _foot(report)))


def _head(report: Report) -> Html:
    return tag(
        "header",
        tag("h1", *_days(wording.heading(report))),
        tag(
            "dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in _figures(report)), class_="figures"
        ),
        *(tag("p", note, class_="note") for note in wording.notes(report)),
    )


def _days(text: str) -> Iterator[object]:
    """The text, with each day as an element that is not wrapped."""
    for part in re.split(r"(\d{4}-\d\d-\d\d)", text):
        yield tag("span", part, class_="day") if re.fullmatch(r"\d{4}-\d\d-\d\d", part) else part


def _figures(report: Report) -> Iterator[tuple[str, str]]:
    """The last period of each kind that has ended, and the counts of the last weeks."""
    for kind, periods in report.activity.items():
        ended = [(period, one) for period, one in periods.items() if one.lost is not None]
        for period, one in ended[-1:]:
            yield f"active in the {kind} from {period}", number_text(one.active)
            yield "new", number_text(one.new)
            yield "lost", number_text(one.lost)
    if report.since:
        yield f"installations from {report.recent} on", number_text(report.recent_total.installations)
    if report.since and report.recent_total.events is not None:
        yield f"events from {report.recent} on", number_text(report.recent_total.events)


def _sections(report: Report) -> Iterator[tuple[object, ...]]:
    if report.since is None:
        return
    by = report.options.by
    for kind, periods in report.activity.items():
        if periods:
            yield (f"Active installations by {kind}", *_activity(report, kind))
    yield (f"New and lost installations by {by}", *_gains(report))
    yield ("Versions", *_versions(report))
    yield ("Retention", tables.retention(report, COHORTS))
    yield from _recent(report)


def _activity(report: Report, kind: str) -> Iterator[Html]:
    periods = report.activity[kind]
    yield _chart(list(periods), {"active": [one.active for one in periods.values()]}, f"Active installations by {kind}")
    rows = [(period, *one) for period, one in list(periods.items())[-PERIODS:]]
    heads = (f"{kind} from", "active", "new", "returned", "lost")
    yield _folded_table(tables.data_table(heads, rows, caption=f"Installations by {kind}"), len(rows), kind)


def _gains(report: Report) -> Iterator[Html]:
    periods = report.activity[report.options.by]
    lines: dict[str, list[int | None]] = {
        "new": [one.new for one in periods.values()],
        "returned": [one.returned for one in periods.values()],
        "lost": [one.lost for one in periods.values()],
    }
    yield _chart(list(periods), lines, f"New, returned and lost installations by {report.options.by}")
    yield tag(
        "p",
        f"New: never seen before. Lost: seen in the {report.options.by} before, and not in this one.",
        class_="note",
    )


def _versions(report: Report) -> Iterator[Html]:
    periods, active = list(report.adoption), report.activity[report.options.by]
    shown = wording.versions_by_use(report, periods)[:VERSIONS]

    def share(period: str, version: str) -> int:
        return round(100 * report.adoption[period].get(version, 0) / (active[period].active or 1))

    lines = {version: [share(period, version) for period in periods] for version in shown}
    yield _chart(periods, lines, f"Versions in percent of the active installations by {report.options.by}", top=100)
    rows = [(period, *(f"{share(period, version)} %" for version in shown)) for period in periods[-PERIODS:]]
    caption = f"Installations by the last version that was seen in the {report.options.by}"
    yield _folded_table(
        tables.data_table((f"{report.options.by} from", *shown), rows, caption=caption), len(rows), report.options.by
    )


def _chart(periods: list[str], lines: Lines, label: str, *, top: int = 0) -> Html:
    if len(periods) < 2:
        return tag("p", "The chart needs a second period; the table has the numbers.", class_="empty")
    days = [date.fromisoformat(period) for period in periods]
    named = {escape_control_chars(name): numbers for name, numbers in lines.items()}
    return line_chart(days, named, label=f"{label}: {len(periods)} periods. The table has the last ones.", top=top)


def _folded_table(table: Html, rows: int, kind: str) -> Html:
    return tag("details", tag("summary", f"Table of the last {rows} {kind}s" if rows > 1 else "Table"), table)


def _recent(report: Report) -> Iterator[tuple[object, ...]]:
    days = f"{report.recent} to {report.until}"
    if report.funnel:
        yield (f"From import to export, {days}", _funnel(report))
    yield ("Left out for privacy", tag("p", wording.folded(report), class_="left-out"))
    yield (f"Share of the installations, {days}", tag("div", *tables.fields(report), class_="columns"))
    shown = [tables.pair(report, pair) for pair in SHOWN_PAIRS]
    others = [tables.pair(report, pair) for pair in report.pairs if pair not in SHOWN_PAIRS]
    more = tag("details", tag("summary", "All other pairs of fields"), tag("div", *others, class_="columns"))
    yield (f"Fields by fields, {days}", tag("div", *shown, class_="columns"), more)


def _funnel(report: Report) -> Html:
    first = next(iter(report.funnel.values()))
    rows = [
        (step, tables.shaded(f"{wording.percent(number, first)} %", number / first if first else 0), number)
        for step, number in report.funnel.items()
    ]
    return tables.data_table(
        ("step", "share", "installations"), rows, caption="Installations that made a step and all before"
    )


def _foot(report: Report) -> Html:
    origin = f"Made {report.made} by deepchecks telemetry collector report."
    return tag("footer", tag("p", f"{origin} This page is a file: it loads nothing and runs nothing."))
