"""The sums of the views and of a report: for each field and value the events, the rows and the distinct installations.

They change in the transaction that stores the rows, so they always agree with them. A report on ten million rows
then reads some thousands of cells.
"""

import sqlite3
from collections.abc import Iterator
from functools import cache, partial

from deepchecks_telemetry.collector.tables.growth import Seen, add_growth
from deepchecks_telemetry.collector.tables.periods import date_of
from deepchecks_telemetry.spool.catalogue import Environment

# A day is sent after it has ended, so one day late is in time. The clock of a sender may be a day ahead.
LATENESS = {1: "0-1 days", 7: "2-7 days", 30: "8-30 days", 90: "31-90 days"}
LATER = "over 90 days"
STEP = 10_000  # rows whose groups are in memory

_GROUPS = """
SELECT day, name, installation, environment, received_day, sum(count), count(*), min(counts.id), max(counts.id)
FROM counts JOIN events ON number = event WHERE counts.id > ? AND counts.id <= ?
GROUP BY day, event, installation, environment, received_day
"""
_ADD = """
INSERT INTO cells (field, value, events, rows) VALUES (?, ?, ?, ?)
ON CONFLICT (field, value) DO UPDATE SET events = events + excluded.events, rows = rows + excluded.rows
"""
_SEE = "INSERT INTO seen VALUES (?, ?) ON CONFLICT (cell, installation) DO NOTHING"
_ARRIVE = """
INSERT INTO arrivals VALUES (?, ?, ?)
ON CONFLICT (day) DO UPDATE SET first_id = min(first_id, excluded.first_id), last_id = max(last_id, excluded.last_id)
"""

Key = tuple[str, str]  # field and value


def add_sums(connection: sqlite3.Connection, after: int, last: int) -> None:
    """Add the rows with ids from `after` + 1 to `last`; in the transaction that stored them."""
    for start in range(after, last, STEP):
        _add(connection, start, min(start + STEP, last))


def _add(connection: sqlite3.Connection, after: int, last: int) -> None:
    sums: dict[Key, list[int]] = {}
    seen: dict[Key, set[int]] = {}
    active: set[Seen] = set()
    environment_of = cache(partial(_environment, connection))
    for day, event, installation, number, received, events, rows, *ids in connection.execute(_GROUPS, (after, last)):
        environment = environment_of(number)
        for key in _keys(day, event, environment, received - day):
            cell = sums.setdefault(key, [0, 0])
            cell[0] += events
            cell[1] += rows
            seen.setdefault(key, set()).add(installation)
        active.add(Seen(installation, day, environment.deepchecks_version))
        connection.execute(_ARRIVE, (day, *ids))
    connection.executemany(_ADD, [(*key, *cell) for key, cell in sums.items()])
    for key, installations in seen.items():
        (cell_id,) = connection.execute("SELECT id FROM cells WHERE field = ? AND value = ?", key).fetchone()
        # In the order of the table, which changes the fewest pages.
        connection.executemany(_SEE, [(cell_id, installation) for installation in sorted(installations)])
    add_growth(connection, sorted(active))


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
