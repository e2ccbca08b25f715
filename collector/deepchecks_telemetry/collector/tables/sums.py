"""The sums that a report reads: for each field and value the events, the rows and the distinct installations.

They change in the transaction that stores the rows, so they always agree with them. A report on ten million rows
then reads some thousands of cells.
"""

import sqlite3
from collections.abc import Iterator
from datetime import date, timedelta

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
_SEE = """
INSERT INTO seen SELECT id, ? FROM cells WHERE field = ? AND value = ? ON CONFLICT (cell, installation) DO NOTHING
"""

Key = tuple[str, str]  # field and value


def add_sums(connection: sqlite3.Connection, after: int, last: int) -> None:
    """Add the rows with ids from `after` + 1 to `last`; in the transaction that stored them."""
    for start in range(after, last, STEP):
        _add(connection, start, min(start + STEP, last))


def _add(connection: sqlite3.Connection, after: int, last: int) -> None:
    sums: dict[Key, list[int]] = {}
    seen: set[tuple[int, str, str]] = set()
    environments: dict[int, Environment] = {}
    for day, event, installation, number, received, events, rows in connection.execute(_GROUPS, (after, last)):
        if number not in environments:
            environments[number] = _environment(connection, number)
        for key in _keys(day, event, environments[number], received - day):
            cell = sums.setdefault(key, [0, 0])
            cell[0] += events
            cell[1] += rows
            seen.add((installation, *key))
    connection.executemany(_ADD, [(*key, *cell) for key, cell in sums.items()])
    connection.executemany(_SEE, seen)


def _keys(day: int, event: str, environment: Environment, days_late: int) -> Iterator[Key]:
    week = _text(day - (day + 3) % 7)  # weeks begin on Monday; 1970-01-01 was a Thursday
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


def _text(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()


def _environment(connection: sqlite3.Connection, number: int) -> Environment:
    query = f"SELECT {', '.join(Environment._fields)} FROM environments WHERE id = ?"  # noqa: S608 — constants
    return Environment(*connection.execute(query, (number,)).fetchone())
