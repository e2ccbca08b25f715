"""Reads the rows of a range of days and a filter, in the order of arrival, and makes sets of their installations.

A set is an integer with a bit for each installation: a thousand sets of 100,000 installations are 13 MB. Before, a row
takes the 4 bytes of its installation's number.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

from deepchecks_telemetry.collector.reporting.options import Options

# Begins with the number of rows that will be read, and yields a function that is called with how many were read.
Progress = Callable[[int], AbstractContextManager[Callable[[int], None]]]

STEP = 10_000  # rows that are in memory
# A store that was edited by hand can have any type in any column.
_RANGE = """
SELECT CAST(min(first_id) AS INTEGER), CAST(max(last_id) AS INTEGER) FROM arrivals WHERE day BETWEEN ? AND ?
"""
_ROWS = """
SELECT id, {columns} FROM counts WHERE id BETWEEN :low AND :high AND day BETWEEN :first AND :last {filter} ORDER BY id
"""


class Source(NamedTuple):
    """The store, which of its rows are counted, and where progress is shown."""

    connection: sqlite3.Connection
    options: Options
    progress: Progress

    def rows(self, columns: str, first: int, last: int) -> Iterator[tuple[Any, ...]]:
        """The id and some columns of the rows from the first to the last day."""
        low, high = self.connection.execute(_RANGE, (first, last)).fetchone()
        if low is None or high is None:
            return
        query = _ROWS.format(columns=columns, filter=_filter(self.options))
        parameters = {"low": low, "high": high, "first": first, "last": last, **self.options._asdict()}
        cursor = self.connection.execute(query, parameters)
        with self.progress(high - low + 1) as advance:
            while rows := cursor.fetchmany(STEP):
                yield from rows
                advance(rows[-1][0] + 1 - low)
                low = rows[-1][0] + 1
            advance(high + 1 - low)


def set_of(numbers: Iterable[int], size: int) -> int:
    """A set as an integer, whose bits are the numbers."""
    bits = bytearray(size // 8 + 1)
    for number in numbers:
        bits[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(bits, "little")


@contextmanager
def no_progress(_: int) -> Iterator[Callable[[int], None]]:
    """Show no progress."""
    yield lambda _: None


def _filter(options: Options) -> str:
    """The condition on rows of `counts`, with the names of the options as parameters."""
    event = " AND event = (SELECT number FROM events WHERE name = :event)" * (options.event is not None)
    environments = "SELECT id FROM environments WHERE deepchecks_version = :version"
    return event + f" AND environment IN ({environments})" * (options.version is not None)
