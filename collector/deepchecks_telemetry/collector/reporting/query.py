"""Reads a report from a store: all numbers come from the same snapshot."""

import json
import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from deepchecks_telemetry.collector.reporting.suppression import Cell, Share, fold, fold_cohorts, share_of
from deepchecks_telemetry.collector.store import reading
from deepchecks_telemetry.collector.tables import sums

# What rows are grouped by. Days and lateness are in their natural order, the others by frequency.
BY = ("event", "day", "version", "os", "python", "runtime", "lateness")
WITH_SHARES = ("event", "version", "os", "python", "runtime")
LATENESS = (*sums.LATENESS.values(), sums.LATER)
# A store that was edited by hand can have any type in any column.
_MEASURES = ", ".join(f"CAST({measure} AS INTEGER)" for measure in Cell._fields)
_CELLS = f"SELECT CAST(value AS TEXT), {_MEASURES} FROM cells WHERE field = ?"  # noqa: S608 — constants
_TOGETHER = """
WITH chosen AS (SELECT * FROM cells WHERE field = ? AND value IN (SELECT value FROM json_each(?)))
SELECT sum(events), sum(rows), (SELECT count(DISTINCT installation) FROM seen JOIN chosen ON cell = id) FROM chosen
"""


class Report(NamedTuple):
    """The totals, and the cells by each key of `BY`; `retention` has a number for each week since a cohort began.

    If the whole store has fewer installations than `min_cell`, it is `suppressed`: all counts are 0 or absent.
    """

    total: Cell
    min_cell: int
    by: dict[str, dict[str, Cell]]
    retention: dict[str, list[int | None]]
    suppressed: bool = False

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
            **(dict.fromkeys(Cell._fields) if self.suppressed else self.total._asdict()),
            "min_cell": self.min_cell,
            "suppressed": self.suppressed,
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
        total = Cell(*(connection.execute(_CELLS, ("total",)).fetchone() or ("", *Cell()))[1:])
        if 0 < total.installations < min_cell:
            return Report(Cell(), min_cell, {name: {} for name in BY}, {}, suppressed=True)
        by = {name: _ordered(name, _cells(connection, name, min_cell)) for name in BY}
        return Report(total, min_cell, by, fold_cohorts(_cohorts(connection), min_cell))


def _cells(connection: sqlite3.Connection, name: str, min_cell: int) -> dict[str, Cell]:
    def count_together(values: Collection[str]) -> Cell:
        return Cell(*connection.execute(_TOGETHER, (name, json.dumps(list(values)))).fetchone())

    return fold(
        {value: Cell(*measures) for value, *measures in connection.execute(_CELLS, (name,))}, min_cell, count_together
    )


def _ordered(name: str, cells: dict[str, Cell]) -> dict[str, Cell]:
    if name == "day":
        return dict(sorted(cells.items()))
    if name == "lateness":
        return {value: cells[value] for value in (*LATENESS, *sorted(set(cells) - set(LATENESS))) if value in cells}
    return dict(sorted(cells.items(), key=lambda item: (-item[1].events, item[0])))


def _cohorts(connection: sqlite3.Connection) -> dict[str, list[int]]:
    cohorts: dict[str, list[int]] = {}
    for cohort, week, installations in connection.execute("SELECT * FROM retention"):
        weeks = cohorts.setdefault(cohort, [])
        weeks += [0] * (week - len(weeks)) + [installations]
    return cohorts
