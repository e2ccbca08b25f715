"""The sums that a report reads: for each field and value the events, the rows and the distinct installations.

They change in the transaction that stores the rows, so they always agree with them. A report on ten million rows
then reads some thousands of cells.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from functools import cache, partial

from deepchecks_telemetry.spool.catalogue import Environment

# A day is sent after it has ended, so one day late is in time. The clock of a sender may be a day ahead.
LATENESS = {1: "0-1 days", 7: "2-7 days", 30: "8-30 days", 90: "31-90 days"}
LATER = "over 90 days"
STEP = 10_000  # rows whose groups are in memory

_EPOCH = date(1970, 1, 1)
_GROUPS = """
SELECT day, name, installation, environment, received_day, sum(count), count(*)
FROM counts JOIN events ON number = event WHERE id > ? AND id <= ?
GROUP BY day, event, installation, environment, received_day
"""
_ADD = """
INSERT INTO cells (field, value, events, rows) VALUES (?, ?, ?, ?)
ON CONFLICT (field, value) DO UPDATE SET events = events + excluded.events, rows = rows + excluded.rows
"""
_SEE = "INSERT INTO seen VALUES (?, ?) ON CONFLICT (cell, installation) DO NOTHING"
_ACTIVE = "INSERT INTO active_weeks VALUES (?, ?) ON CONFLICT (installation, week) DO NOTHING"
_WEEKS = "SELECT week FROM active_weeks WHERE installation = ? ORDER BY week"
_MOVE = """
INSERT INTO cohorts VALUES (?, ?, ?)
ON CONFLICT (first_week, week) DO UPDATE SET installations = installations + excluded.installations
"""

Key = tuple[str, str]  # field and value


def add_sums(connection: sqlite3.Connection, after: int, last: int) -> None:
    """Add the rows with ids from `after` + 1 to `last`; in the transaction that stored them."""
    for start in range(after, last, STEP):
        _add(connection, start, min(start + STEP, last))


def _add(connection: sqlite3.Connection, after: int, last: int) -> None:
    sums: dict[Key, list[int]] = {}
    seen: dict[Key, set[int]] = {}
    active: set[tuple[int, int]] = set()
    environment_of = cache(partial(_environment, connection))
    for day, event, installation, number, received, events, rows in connection.execute(_GROUPS, (after, last)):
        for key in _keys(day, event, environment_of(number), received - day):
            cell = sums.setdefault(key, [0, 0])
            cell[0] += events
            cell[1] += rows
            seen.setdefault(key, set()).add(installation)
        active.add((installation, _monday(day)))
    connection.executemany(_ADD, [(*key, *cell) for key, cell in sums.items()])
    for key, installations in seen.items():
        (cell_id,) = connection.execute("SELECT id FROM cells WHERE field = ? AND value = ?", key).fetchone()
        # In the order of the table, which changes the fewest pages.
        connection.executemany(_SEE, [(cell_id, installation) for installation in sorted(installations)])
    _add_weeks(connection, sorted(active))


def _add_weeks(connection: sqlite3.Connection, active: Iterable[tuple[int, int]]) -> None:
    moves: Counter[tuple[int, int]] = Counter()
    for installation, week in active:
        if connection.execute(_ACTIVE, (installation, week)).rowcount:
            moves.update(_moves(connection, installation, week))
    connection.executemany(_MOVE, [(*cohort_and_week, number) for cohort_and_week, number in moves.items() if number])


def _moves(connection: sqlite3.Connection, installation: int, new: int) -> Counter[tuple[int, int]]:
    """How the cohorts change with a new week of an installation; one before its first moves it to another cohort."""
    weeks = (week for (week,) in connection.execute(_WEEKS, (installation,)))
    first = next(weeks)
    if first < new:
        return Counter({(first, new): 1})
    later = list(weeks)
    moves = Counter({(new, week): 1 for week in (new, *later)})
    moves.subtract({(later[0], week): 1 for week in later})
    return moves


def _keys(day: int, event: str, environment: Environment, days_late: int) -> Iterator[Key]:
    week = _text(_monday(day))
    yield "total", ""
    yield "event", event
    yield "day", _text(day)
    yield "week", week
    yield "version", environment.deepchecks_version
    yield "os", environment.os_name
    yield "python", environment.python_version
    yield "runtime", environment.runtime
    yield "adoption", f"{week} {environment.deepchecks_version}"
    yield "lateness", next((text for most, text in LATENESS.items() if days_late <= most), LATER)


def _monday(day: int) -> int:
    return day - (day + 3) % 7  # 1970-01-01 was a Thursday


@cache  # some thousands of days
def _text(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()


def _environment(connection: sqlite3.Connection, number: int) -> Environment:
    query = f"SELECT {', '.join(Environment._fields)} FROM environments WHERE id = ?"  # noqa: S608 — constants
    return Environment(*connection.execute(query, (number,)).fetchone())
