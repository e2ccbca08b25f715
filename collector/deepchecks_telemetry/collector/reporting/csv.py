"""A report as CSV: one line for each cell, the same columns for all of them, and no stored text is a formula."""

import csv
import io
from collections.abc import Iterator

from deepchecks_telemetry.collector.reporting.query import SHARED, Report
from deepchecks_telemetry.collector.reporting.text import in_a_sheet

COLUMNS = ("by", "value", "week", "events", "rows", "installations", "share", "share_low", "share_high")


def as_csv(report: Report) -> str:
    """Write the sheet; `share` is of all installations, `week` counts from a cohort's first one."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_lines(report))
    return text.getvalue()


def _lines(report: Report) -> Iterator[tuple[object, ...]]:
    yield ("total", "", "", *report.total, "", "", "")
    for name, cells in report.by.items():
        shares = report.shares(name) if name in SHARED else {}
        for value, cell in cells.items():
            yield (name, in_a_sheet(value), "", *cell, *shares.get(value, ("", "", "")))
    for cohort, weeks in report.retention.items():
        for week, installations in enumerate(weeks):
            seen = "" if installations is None else installations
            yield ("retention", in_a_sheet(cohort), week, "", "", seen, "", "", "")
