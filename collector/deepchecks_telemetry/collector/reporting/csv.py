"""Writes a report as CSV: one line for each cell, all with the same columns; stored text is never a formula."""

import csv
import io
from collections.abc import Iterator

from deepchecks_telemetry.collector.reporting.query import WITH_SHARES, Report
from deepchecks_telemetry.collector.reporting.text import escape_for_spreadsheet

COLUMNS = ("by", "value", "week", "events", "rows", "installations", "share", "share_low", "share_high")


def as_csv(report: Report) -> str:
    """The report as CSV text; `share` is that of all installations, `week` counts from the first week of a cohort."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_lines(report))
    return text.getvalue()


def _lines(report: Report) -> Iterator[tuple[object, ...]]:
    yield ("total", "", "", *(("", "", "") if report.suppressed else report.total), "", "", "")
    for name, cells in report.by.items():
        shares = report.shares(name) if name in WITH_SHARES else {}
        for value, cell in cells.items():
            yield (name, escape_for_spreadsheet(value), "", *cell, *shares.get(value, ("", "", "")))
    for cohort, weeks in report.retention.items():
        for week, installations in enumerate(weeks):
            count = "" if installations is None else installations
            yield ("retention", escape_for_spreadsheet(cohort), week, "", "", count, "", "", "")
