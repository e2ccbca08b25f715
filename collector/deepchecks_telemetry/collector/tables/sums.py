"""The sums of the views and of a report: for each field and value the events, the rows and the distinct installations.

They change in the transaction that stores the rows, so they always agree with them. A report on ten million rows
then reads some thousands of sums, and the groups of `daily` where there is no sum: for fields, for days, and with a
filter.
"""

import math
import sqlite3
import sys
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from operator import itemgetter

from deepchecks_telemetry.collector.errors import StoreError
from deepchecks_telemetry.collector.tables.growth import Seen, add_growth
from deepchecks_telemetry.collector.tables.ids import id_of
from deepchecks_telemetry.collector.tables.periods import date_of
from deepchecks_telemetry.spool.catalogue import Environment

# A day is sent after it has ended, so one day late is in time. The clock of a sender may be a day ahead.
_MOST_DAYS = {"0-1 days": 1, "2-7 days": 7, "8-30 days": 30, "31-90 days": 90, "over 90 days": math.inf}
LATENESS = tuple(_MOST_DAYS)
STEP = 10_000  # rows whose groups are in memory
PART_BYTES = 960  # 240 installations: four parts fit into a page, and need no overflow page

_STEP = "SELECT max(id) FROM (SELECT id FROM counts WHERE id > ? AND id <= ? ORDER BY id LIMIT ?)"
_ROWS = """
SELECT day, event, environment, received_day - day, installation, count FROM counts WHERE id > ? AND id <= ?
"""
_ADD = """
INSERT INTO cells (field, value, events, rows) VALUES (?, ?, ?, ?)
ON CONFLICT (field, value) DO UPDATE SET events = events + excluded.events, rows = rows + excluded.rows
"""
_SEE = "INSERT INTO seen VALUES (?, ?) ON CONFLICT (cell, installation) DO NOTHING"
_COUNT = "UPDATE cells SET installations = installations + ? WHERE id = ?"
# A store that was edited by hand can have any type in any column.
_LAST_PART = """
SELECT part, CAST(events AS INTEGER), CAST(rows AS INTEGER), CAST(installations AS BLOB) FROM daily
WHERE day = ? AND category = ? AND typeof(part) = 'integer' ORDER BY part DESC LIMIT 1
"""
_WRITE_PART = "INSERT OR REPLACE INTO daily VALUES (?, ?, ?, ?, ?, ?)"

Key = tuple[str, str]  # field and value
Category = tuple[int, int, int]  # the columns of `categories`: event, environment, lateness


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
    """Add the rows with ids from `after` + 1 to `last`; in the transaction that stored them.

    Raises `StoreError` if a value in the store is not valid, because it was edited by hand.
    """
    try:
        while end := connection.execute(_STEP, (after, last, STEP)).fetchone()[0]:
            _add(connection, after, end)
            after = end
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise StoreError(f"A value in the store was edited and is not valid ({error}).") from error


def _add(connection: sqlite3.Connection, after: int, last: int) -> None:
    names = dict(connection.execute("SELECT number, name FROM events"))
    environment_of = cache(partial(_environment, connection))
    cells: defaultdict[Key, Group] = defaultdict(Group)
    active: defaultdict[Seen, set[int]] = defaultdict(set)
    groups = _read_groups(connection, after, last)
    for (day, (event, number, late)), group in groups.items():
        environment = environment_of(number)
        for key in _keys(day, names[event], environment, late):
            cells[key].add(group)
        active[Seen(day, environment.deepchecks_version)] |= group.installations
    _add_daily(connection, groups)
    _add_cells(connection, cells)
    add_growth(connection, active)


def _read_groups(connection: sqlite3.Connection, after: int, last: int) -> dict[tuple[int, Category], Group]:
    """The rows by day and category, of which a batch has few, so that their fields are read once for many rows."""
    groups: defaultdict[tuple[int, Category], Group] = defaultdict(Group)
    most_days = list(_MOST_DAYS.values())
    for day, event, environment, days_late, installation, events in connection.execute(_ROWS, (after, last)):
        group = groups[day, (event, environment, bisect_left(most_days, days_late))]
        group.events += events
        group.rows += 1
        group.installations.add(installation)
    return groups


def _add_daily(connection: sqlite3.Connection, groups: Mapping[tuple[int, Category], Group]) -> None:
    """Add the groups to the last part of each, and to new parts where that is full."""
    parts = []
    number_of = cache(partial(id_of, connection, "categories", ("event", "environment", "lateness")))
    by_day = {(day, number_of(category)): group for (day, category), group in groups.items()}
    # In the order of the table, which changes the fewest pages.
    for key, group in sorted(by_day.items(), key=itemgetter(0)):
        part, events, rows, stored = connection.execute(_LAST_PART, key).fetchone() or (0, 0, 0, b"")
        stored = stored[: len(stored) // 4 * 4]  # more bytes are in a store that was edited by hand
        events, rows, packed = events + group.events, rows + group.rows, stored + _packed(sorted(group.installations))
        for start in range(0, len(packed), PART_BYTES):
            parts.append((*key, part, events, rows, packed[start : start + PART_BYTES]))
            part, events, rows = part + 1, 0, 0
    connection.executemany(_WRITE_PART, parts)


def _packed(numbers: Iterable[int]) -> bytes:
    """The numbers in 4 bytes each, the lowest byte first."""
    packed = array("I", numbers)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def unpacked(packed: bytes | bytearray) -> "array[int]":  # before Python 3.12, arrays have no type parameters
    """The numbers in parts of `daily`."""
    numbers = array("I", packed)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _add_cells(connection: sqlite3.Connection, cells: Mapping[Key, Group]) -> None:
    connection.executemany(_ADD, [(*key, cell.events, cell.rows) for key, cell in cells.items()])
    for key, cell in cells.items():
        (cell_id,) = connection.execute("SELECT id FROM cells WHERE field = ? AND value = ?", key).fetchone()
        # In the order of the table, which changes the fewest pages.
        new = connection.executemany(_SEE, [(cell_id, installation) for installation in sorted(cell.installations)])
        connection.execute(_COUNT, (new.rowcount, cell_id))


def _keys(day: int, event: str, environment: Environment, late: int) -> Iterator[Key]:
    yield "total", ""
    yield "event", event
    yield "day", date_of(day).isoformat()
    yield "version", environment.deepchecks_version
    yield "os", environment.os_name
    yield "python", environment.python_version
    yield "runtime", environment.runtime
    yield "lateness", LATENESS[late]


def _environment(connection: sqlite3.Connection, number: int) -> Environment:
    query = f"SELECT {', '.join(Environment._fields)} FROM environments WHERE id = ?"  # noqa: S608 — constants
    return Environment(*connection.execute(query, (number,)).fetchone())
