"""Reads a report from a store: all numbers come from the same snapshot."""

import json
import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from deepchecks_telemetry.collector.reporting.suppression import Cell, Share, fold, fold_cohorts, share_of
from deepchecks_telemetry.collector.store import reading

_MEASURES = "coalesce(sum(count), 0), count(*), count(DISTINCT installation_id)"
_DAYS_LATE = "CAST(julianday(received_day) - julianday(day) AS INTEGER)"
# A day is sent after it has ended, so one day late is in time. The clock of a sender may be a day ahead.
_LATENESS = f"""CASE WHEN {_DAYS_LATE} <= 1 THEN '0-1 days' WHEN {_DAYS_LATE} <= 7 THEN '2-7 days'
WHEN {_DAYS_LATE} <= 30 THEN '8-30 days' WHEN {_DAYS_LATE} <= 90 THEN '31-90 days' ELSE 'over 90 days' END"""
LATENESS = ("0-1 days", "2-7 days", "8-30 days", "31-90 days", "over 90 days")
# What rows are grouped by. Days and lateness are in their natural order, the others by frequency.
BY = {
    "event": "event",
    "day": "day",
    "version": "deepchecks_version",
    "os": "os_name",
    "python": "python_version",
    "runtime": "runtime",
    "lateness": _LATENESS,
}
WITH_SHARES = ("event", "version", "os", "python", "runtime")
# Weeks begin on Monday; 1970-01-01 was a Thursday. The cohort of an installation is the week of its first day.
_RETENTION = """
WITH seen AS (
  SELECT DISTINCT installation_id, (CAST(julianday(day) - 2440587.5 AS INTEGER) + 3) / 7 AS week FROM rows
), first AS (SELECT installation_id, min(week) AS cohort FROM seen GROUP BY 1)
SELECT date((cohort * 7 - 3) * 86400, 'unixepoch'), week - cohort, count(*) FROM seen JOIN first USING (installation_id)
WHERE week NOT NULL GROUP BY cohort, week ORDER BY cohort, week
"""


class Report(NamedTuple):
    """The totals, and the cells by each key of `BY`; `retention` has a number for each week since a cohort began."""

    total: Cell
    min_cell: int
    by: dict[str, dict[str, Cell]]
    retention: dict[str, list[int | None]]

    @property
    def rows(self) -> int:
        """The number of rows in the store."""
        return self.total.rows

    def shares(self, name: str) -> dict[str, Share]:
        """The share of all installations that had each value; installations are independent, events are not."""
        return {value: share_of(cell.installations, self.total.installations) for value, cell in self.by[name].items()}

    def as_dict(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {
            **self.total._asdict(),
            "min_cell": self.min_cell,
            **{f"by_{name}": {value: cell.events for value, cell in cells.items()} for name, cells in self.by.items()},
            "installations_by": {
                name: {value: cell.installations for value, cell in cells.items()} for name, cells in self.by.items()
            },
            "shares": {name: {v: s._asdict() for v, s in self.shares(name).items()} for name in WITH_SHARES},
            "retention": self.retention,
        }


def report(store: Path, *, min_cell: int = 1) -> Report:
    """Read the report, also while a collector writes to the store; `min_cell` is the fewest installations of a cell."""
    with reading(store) as connection:
        total = Cell(*connection.execute(f"SELECT {_MEASURES} FROM rows").fetchone())  # noqa: S608 — constants
        # A store that was edited by hand can have any type in any column.
        columns = {name: f"CAST({column} AS TEXT)" for name, column in BY.items()}
        by = {name: _ordered(name, _cells(connection, column, min_cell)) for name, column in columns.items()}
        return Report(total, min_cell, by, fold_cohorts(_cohorts(connection), min_cell))


def _cells(connection: sqlite3.Connection, column: str, min_cell: int) -> dict[str, Cell]:
    groups = connection.execute(f"SELECT {column}, {_MEASURES} FROM rows GROUP BY 1")  # noqa: S608 — constants

    def count_together(values: Collection[str]) -> Cell:
        query = f"SELECT {_MEASURES} FROM rows WHERE {column} IN (SELECT value FROM json_each(?))"  # noqa: S608 — constants
        return Cell(*connection.execute(query, (json.dumps(list(values)),)).fetchone())

    return fold({value: Cell(*measures) for value, *measures in groups}, min_cell, count_together)


def _ordered(name: str, cells: dict[str, Cell]) -> dict[str, Cell]:
    if name == "day":
        return dict(sorted(cells.items()))
    if name == "lateness":
        return {value: cells[value] for value in (*LATENESS, *sorted(set(cells) - set(LATENESS))) if value in cells}
    return dict(sorted(cells.items(), key=lambda item: (-item[1].events, item[0])))


def _cohorts(connection: sqlite3.Connection) -> dict[str, list[int]]:
    cohorts: dict[str, list[int]] = {}
    for cohort, week, installations in connection.execute(_RETENTION):
        weeks = cohorts.setdefault(cohort, [])
        weeks += [0] * (week - len(weeks)) + [installations]
    return cohorts
