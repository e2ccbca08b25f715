"""Reads the groups of rows that the store keeps, in a range of days and with a filter, and their installations."""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from deepchecks_telemetry.collector.reporting.options import Options
from deepchecks_telemetry.collector.tables.sums import LATENESS, unpacked
from deepchecks_telemetry.spool.catalogue import Environment

# A store that was edited by hand can have any type in any column.
_FIELDS = ", ".join(f"CAST({name} AS TEXT)" for name in Environment._fields)
_KINDS = f"""
FROM kinds JOIN events ON number = event JOIN environments ON environments.id = environment
WHERE lateness BETWEEN 0 AND {len(LATENESS) - 1}
AND (:event IS NULL OR name = :event) AND (:version IS NULL OR deepchecks_version = :version)
"""
_GROUPS = f"""
SELECT day, kind, CAST(events AS INTEGER), CAST(rows AS INTEGER), CAST(installations AS BLOB) FROM daily
WHERE day BETWEEN :first AND :last AND kind IN (SELECT kinds.id {_KINDS})
"""  # noqa: S608 — constants


class Kind(NamedTuple):
    """What the rows of a group have in common."""

    event: str
    lateness: str
    environment: Environment


class Group(NamedTuple):
    """Rows of one day and kind: the sum of their events, how many they are, and their installations, 4 bytes each."""

    day: int
    kind: int
    events: int
    rows: int
    installations: bytes


class Source:
    """A store, and which of its rows are counted; `most` is the highest number of an installation."""

    def __init__(self, connection: sqlite3.Connection, options: Options) -> None:
        self.connection, self.options = connection, options
        (self.most,) = connection.execute("SELECT coalesce(max(id), 0) FROM installations").fetchone()
        query = f"SELECT kinds.id, CAST(name AS TEXT), lateness, {_FIELDS} {_KINDS}"
        self.kinds = {
            number: Kind(event, LATENESS[late], Environment(*values))
            for number, event, late, *values in connection.execute(query, options._asdict())
        }

    def groups(self, first: int, last: int) -> Iterator[Group]:
        """The groups from the first to the last day; there are several of a day and kind with many installations."""
        parameters = {"first": first, "last": last, **self.options._asdict()}
        return map(Group._make, self.connection.execute(_GROUPS, parameters))

    def installations_of(self, packed: bytes | bytearray) -> set[int]:
        """The numbers of installations in 4 bytes each."""
        numbers = set(unpacked(packed))
        if numbers and max(numbers) > self.most:  # the store was edited by hand
            return {number for number in numbers if number <= self.most}
        return numbers


def bits_of(numbers: Iterable[int], most: int) -> int:
    """A set as an integer with a bit for each number up to `most`: a thousand sets of 100,000 numbers are 13 MB."""
    bits = bytearray(most // 8 + 1)
    for number in numbers:
        bits[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(bits, "little")
