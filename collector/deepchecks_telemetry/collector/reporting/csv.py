"""Writes a report as CSV: one line for each number, all with the same columns; stored text is never a formula."""

import csv
import io
from collections.abc import Iterator

from deepchecks_telemetry.collector.reporting.query import Report
from deepchecks_telemetry.collector.reporting.text import escape_for_spreadsheet

COLUMNS = ("table", "period", "value", "by", "events", "rows", "installations")


def as_csv(report: Report) -> str:
    """The report as CSV text, in the long form that spreadsheets and data frames pivot."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(escape_for_spreadsheet, line) for line in _lines(report))
    return text.getvalue()


def _lines(report: Report) -> Iterator[tuple[object, ...]]:
    yield ("total", "", "", "", *_filled(report.total))
    yield from _by_period(report)
    for step, installations in report.funnel.items():
        yield ("funnel", "", step, "", "", "", installations)
    for name, cells in report.by.items():
        for value, cell in cells.items():
            yield (name, "", value, "", *_filled(cell))
    for pair, table in report.pairs.items():
        for value, others in table.items():
            for other, installations in others.items():
                yield (" x ".join(pair), "", value, other, "", "", installations)
    for name, installations in report.folded.items():
        yield ("folded", "", name, "", "", "", installations)


def _by_period(report: Report) -> Iterator[tuple[object, ...]]:
    for kind, periods in report.activity.items():
        for period, counts in periods.items():
            for name, installations in zip(counts._fields, counts, strict=True):
                yield (kind, period, name, "", "", "", "" if installations is None else installations)
    for period, versions in report.adoption.items():
        for version, installations in versions.items():
            yield ("adoption", period, version, "", "", "", installations)
    for first, numbers in report.retention.items():
        for later, installations in enumerate(numbers):
            yield ("retention", first, later, "", "", "", installations)


def _filled(cell: tuple[int | None, ...]) -> tuple[object, ...]:
    return tuple("" if number is None else number for number in cell)
