"""Reads the groups of rows that the store keeps, in a range of days and with a filter, and their installations.

SQLite adds the groups up and joins their installations as text, in half the time of a loop in Python.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

from deepchecks_telemetry.collector.errors import StoreError
from deepchecks_telemetry.collector.reporting.options import Options
from deepchecks_telemetry.collector.tables.sums import LATENESS, unpacked
from deepchecks_telemetry.spool.catalogue import Environment

# Begins with the number of rows that will be read, and yields a function that is called with how many were read.
Progress = Callable[[int], AbstractContextManager[Callable[[int], None]]]

STEP = 500_000  # rows between two calls of that function, some 0.2 s; each step looks up the chosen categories again
# A store that was edited by hand can have any type in any column.
_DAYS = """
SELECT CAST(strftime('%s', value) AS INTEGER) / 86400 AS day, CAST(rows AS INTEGER) FROM cells
WHERE field = 'day' AND day BETWEEN ? AND ? ORDER BY day
"""
_FIELDS = ", ".join(f"CAST({name} AS TEXT)" for name in Environment._fields)
_CATEGORIES = f"""
FROM categories JOIN events ON number = event JOIN environments ON environments.id = environment
WHERE lateness IN {tuple(range(len(LATENESS)))}
AND (:event IS NULL OR name = :event) AND (:version IS NULL OR deepchecks_version = :version)
"""
# A part that was edited to another length would move all numbers after it.
_DAILY = "day BETWEEN :first AND :last AND length(installations) % 4 = 0"
_CHOSEN = f" AND category IN (SELECT categories.id {_CATEGORIES})"
_INSTALLATIONS = "group_concat(hex(installations), '')"
_BY_CATEGORY = f"""
SELECT category, sum(CAST(events AS INTEGER)), sum(CAST(rows AS INTEGER)), {_INSTALLATIONS}
FROM daily WHERE {_DAILY} {{chosen}} GROUP BY category
"""  # noqa: S608 — constants
# SQLite keeps the order of a CROSS JOIN, so it looks up the version of each group. In the other order it would search
# all days for each version.
_BY_DAY = f"""
SELECT day, CAST(deepchecks_version AS TEXT), {_INSTALLATIONS}
FROM daily CROSS JOIN categories ON categories.id = category CROSS JOIN environments ON environments.id = environment
WHERE {_DAILY} {{chosen}} GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608 — constants
MOST = 2**24  # installations; a report takes 8 bytes for each, and a bit in each of some hundred sets


class Category(NamedTuple):
    """What the rows of a group have in common, apart from the day."""

    environment: Environment
    event: str
    lateness: str


class Rows:
    """The sum of the events of some rows, how many they are, and their installations, 4 bytes each."""

    __slots__ = ("events", "installations", "rows")

    def __init__(self) -> None:
        self.events, self.rows, self.installations = 0, 0, bytearray()


class Source:
    """A store, and which of its rows are counted; `most` is the highest number of an installation.

    Raises `StoreError` if that is above `MOST`: the store numbers installations from 1 on.
    """

    def __init__(self, connection: sqlite3.Connection, options: Options, progress: Progress) -> None:
        self.connection, self.options, self._progress = connection, options, progress
        self.most = max(0, connection.execute("SELECT coalesce(max(id), 0) FROM installations").fetchone()[0])
        if self.most > MOST:
            raise StoreError(f"An installation has the number {self.most}; a report can count up to {MOST}.")

    def by_category(self, first: int, last: int) -> list[tuple[Category, Rows]]:
        """The rows from the first to the last day."""
        query = f"SELECT categories.id, CAST(name AS TEXT), lateness, {_FIELDS} {_CATEGORIES}"
        found = self.connection.execute(query, self.options._asdict())
        categories = {
            number: Category(Environment(*fields), event, LATENESS[late]) for number, event, late, *fields in found
        }
        found_rows: defaultdict[int, Rows] = defaultdict(Rows)
        for number, events, rows, installations in self._read(_BY_CATEGORY, first, last):
            of_category = found_rows[number]
            of_category.events += events
            of_category.rows += rows
            of_category.installations += bytes.fromhex(installations)
        # Others are in a store that was edited by hand.
        return [(categories[number], rows) for number, rows in found_rows.items() if number in categories]

    def by_day(self, first: int, last: int) -> dict[tuple[int, str], bytes]:
        """The installations of each day and version, in this order, from the first to the last day, 4 bytes each."""
        return {
            (day, version): bytes.fromhex(installations)
            for day, version, installations in self._read(_BY_DAY, first, last)
        }

    def installations_of(self, packed: bytes | bytearray) -> Sequence[int]:
        """The numbers of installations in 4 bytes each."""
        numbers = unpacked(packed)
        if numbers and max(numbers) > self.most:  # the store was edited by hand
            return [number for number in numbers if number <= self.most]
        return numbers

    def bits_of(self, packed: bytes | bytearray) -> int:
        """A set of installations as an integer, in which the bits of their numbers are 1.

        A thousand sets of 100,000 installations are 13 MB.
        """
        bits = bytearray(self.most // 8 + 1)
        for number in set(self.installations_of(packed)):
            bits[number >> 3] |= 1 << (number & 7)
        return int.from_bytes(bits, "little")

    def _read(self, query: str, first: int, last: int) -> Iterator[tuple[Any, ...]]:
        query = query.format(chosen=_CHOSEN if self.options.filtered else "")
        steps = list(self._steps(first, last))
        with self._progress(sum(rows for _, _, rows in steps)) as advance:
            for start, end, rows in steps:
                yield from self.connection.execute(query, {"first": start, "last": end, **self.options._asdict()})
                advance(rows)

    def _steps(self, first: int, last: int) -> Iterator[tuple[int, int, int]]:
        """Ranges of days that are the whole one together, with the rows of each."""
        rows = 0
        for day, number in self.connection.execute(_DAYS, (first, last)):
            rows += number
            if rows >= STEP:
                yield first, day, rows
                first, rows = day + 1, 0
        yield first, last, rows


@contextmanager
def no_progress(_: int) -> Iterator[Callable[[int], None]]:
    """Show no progress."""
    yield lambda _: None
