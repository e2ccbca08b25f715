"""Writes a report as one HTML file that loads nothing, runs nothing, and shows any stored text as text."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from html import escape

from deepchecks_telemetry.collector.reporting.query import WITH_SHARES, Report
from deepchecks_telemetry.collector.reporting.suppression import Cell, Share
from deepchecks_telemetry.collector.reporting.text import escape_control_chars

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --paper: #fff; --soft: #5b6675; --line: #d9dee5; --bar: #3b6fd4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ee; --paper: #14181f; --soft: #9aa5b4; --line: #333b47; --bar: #7aa2f7; }
}
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
p, caption, th, footer { color: var(--soft); }
table { border-collapse: collapse; width: 100%; margin: 0 0 2rem; }
caption { text-align: left; padding: .5rem 0; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid var(--line); text-align: right; font-weight: inherit;
  font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; }
svg { display: block; width: 100%; min-width: 8rem; height: .8rem; } rect { fill: var(--bar); }
.wide { overflow-x: auto; }
"""
TITLES = {
    "event": "Event",
    "version": "deepchecks",
    "os": "System",
    "python": "Python",
    "runtime": "Runtime",
    "lateness": "Received after",
    "day": "Day (UTC)",
}


def as_html(report: Report) -> str:
    """The report as an HTML page; the largest cell of a table has a full bar."""
    total = report.total
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    summary = f"{total.events:,} events in {total.rows:,} rows from {total.installations:,} installations."
    if report.suppressed:
        summary = f"Fewer than {report.min_cell} installations: nothing is shown."
    rule = f"Values with fewer than {report.min_cell} installations are merged into “other” or left out." * (
        report.min_cell > 1
    )
    parts = [_table(name, report) for name in TITLES]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Deepchecks usage</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>Deepchecks usage</h1>\n"
        f"<p>{summary} {rule}</p>\n{''.join(parts)}{_retention(report.retention)}</body>\n</html>\n"
    )


def _table(name: str, report: Report) -> str:
    cells, shares = report.by[name], report.shares(name) if name in WITH_SHARES else {}
    largest = max((cell.events for cell in cells.values()), default=0)
    heads = [TITLES[name], "events", "", "installations", *(["share", "95 % confidence"] if shares else [])]
    return _html_table(heads, (_line(value, cell, largest, shares) for value, cell in cells.items()))


def _line(value: str, cell: Cell, largest: int, shares: Mapping[str, Share]) -> list[str]:
    width = round(100 * cell.events / largest, 1) if largest else 0
    bar = f'<svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">{_bar(width)}</svg>'
    line = [_text(value), f"{cell.events:,}", bar, f"{cell.installations:,}"]
    if value in shares:
        share, low, high = shares[value]
        line += [f"{share:.1%}", f"{low:.1%} to {high:.1%}"]
    return line


def _bar(width: float) -> str:
    # An attribute of SVG, because the content security policy forbids style attributes.
    return f'<rect width="{width}" height="8"/>'


def _retention(cohorts: Mapping[str, list[int | None]]) -> str:
    weeks = max(map(len, cohorts.values()), default=0)
    heads = ["First seen in the week of", *(f"+{week}" for week in range(weeks))]
    caption = "Installations by the week they were first seen, and how many were seen +N weeks later"
    lines = ([_text(cohort), *map(_count, counts), *[""] * (weeks - len(counts))] for cohort, counts in cohorts.items())
    return f'<div class="wide">\n{_html_table(heads, lines, caption)}</div>\n'


def _count(installations: int | None) -> str:
    return "·" if installations is None else f"{installations:,}"


def _html_table(heads: Iterable[str], lines: Iterable[list[str]], caption: str = "") -> str:
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in line)}</tr>\n" for line in lines)
    caption_tag = f"<caption>{_text(caption)}</caption>\n" if caption else ""
    return f"<table>\n{caption_tag}<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"


def _text(value: object) -> str:
    return escape(escape_control_chars(value), quote=True)
