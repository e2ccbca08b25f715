"""The sums of the views and of a report: for each field and value the events, the rows and the distinct installations.

They change in the transaction that stores the rows, so they always agree with them. A report on ten million rows
then reads some thousands of cells.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache, partial

from deepchecks_telemetry.collector.tables.growth import Seen, add_growth
from deepchecks_telemetry.collector.tables.periods import date_of
from deepchecks_telemetry.spool.catalogue import Environment

# A day is sent after it has ended, so one day late is in time. The clock of a sender may be a day ahead.
LATENESS = {1: "0-1 days", 7: "2-7 days", 30: "8-30 days", 90: "31-90 days"}
LATER = "over 90 days"
STEP = 10_000  # rows whose groups are in memory

_ROWS = """
SELECT day, event, environment, received_day - day, installation, count FROM counts WHERE id > ? AND id <= ?
"""
_ADD = """
INSERT INTO cells (field, value, events, rows) VALUES (?, ?, ?, ?)
ON CONFLICT (field, value) DO UPDATE SET events = events + excluded.events, rows = rows + excluded.rows
"""
_SEE = "INSERT INTO seen VALUES (?, ?) ON CONFLICT (cell, installation) DO NOTHING"
_COUNT = "UPDATE cells SET installations = installations + ? WHERE id = ?"
_ARRIVE = """
INSERT INTO arrivals SELECT day, min(id), max(id) FROM counts WHERE id > ? AND id <= ? GROUP BY day
ON CONFLICT (day) DO UPDATE SET first_id = min(first_id, excluded.first_id), last_id = max(last_id, excluded.last_id)
"""

Key = tuple[str, str]  # field and value
Kind = tuple[int, int, int, int]  # day, event, environment, days late


class Group:
    """Rows that have something in common."""

    __slots__ = ("events", "installations", "rows")

    def __init__(self) -> None:
        self.events, self.rows, self.installations = 0, 0, set[int]()

    def add(self, other: "Group") -> None:
        """Add the rows of another group."""
        self.events += other.events
        self.rows += other.rows
        self.installations |= other.installations


def add_sums(connection: sqlite3.Connection, after: int, last: int) -> None:
    """Add the rows with ids from `after` + 1 to `last`; in the transaction that stored them."""
    for start in range(after, last, STEP):
        _add(connection, start, min(start + STEP, last))


def _add(connection: sqlite3.Connection, after: int, last: int) -> None:
    connection.execute(_ARRIVE, (after, last))
    names = dict(connection.execute("SELECT number, name FROM events"))
    environment_of = cache(partial(_environment, connection))
    cells: defaultdict[Key, Group] = defaultdict(Group)
    active: defaultdict[Seen, set[int]] = defaultdict(set)
    for (day, event, number, days_late), group in _read_groups(connection, after, last).items():
        environment = environment_of(number)
        for key in _keys(day, names[event], environment, days_late):
            cells[key].add(group)
        active[Seen(day, environment.deepchecks_version)] |= group.installations
    _add_cells(connection, cells)
    add_growth(connection, active)


def _read_groups(connection: sqlite3.Connection, after: int, last: int) -> dict[Kind, Group]:
    """The rows by their kind, of which a batch has few, so that their fields are read once for many rows."""
    groups: defaultdict[Kind, Group] = defaultdict(Group)
    for day, event, environment, days_late, installation, events in connection.execute(_ROWS, (after, last)):
        group = groups[day, event, environment, days_late]
        group.events += events
        group.rows += 1
        group.installations.add(installation)
    return groups


def _add_cells(connection: sqlite3.Connection, cells: Mapping[Key, Group]) -> None:
    connection.executemany(_ADD, [(*key, cell.events, cell.rows) for key, cell in cells.items()])
    for key, cell in cells.items():
        (cell_id,) = connection.execute("SELECT id FROM cells WHERE field = ? AND value = ?", key).fetchone()
        # In the order of the table, which changes the fewest pages.
        new = connection.executemany(_SEE, [(cell_id, installation) for installation in sorted(cell.installations)])
        connection.execute(_COUNT, (new.rowcount, cell_id))


def _keys(day: int, event: str, environment: Environment, days_late: int) -> Iterator[Key]:
    yield "total", ""
    yield "event", event
    yield "day", date_of(day).isoformat()
    yield "version", environment.deepchecks_version
    yield "os", environment.os_name
    yield "python", environment.python_version
    yield "runtime", environment.runtime
    yield "lateness", lateness(days_late)


@cache
def lateness(days_late: int) -> str:
    """The group of a row that arrived this many days after its day."""
    return next((text for most, text in LATENESS.items() if days_late <= most), LATER)


def _environment(connection: sqlite3.Connection, number: int) -> Environment:
    query = f"SELECT {', '.join(Environment._fields)} FROM environments WHERE id = ?"  # noqa: S608 — constants
    return Environment(*connection.execute(query, (number,)).fetchone())
