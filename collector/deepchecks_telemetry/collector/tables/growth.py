"""How the installations of each week and month relate to those before: first weeks, last versions, returns.

`active` has a row for each installation and period with the last version that was seen in it, so an installation counts
for one version. `growth` is the sum of these rows: a report reads some thousands of its rows instead of millions.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import NamedTuple

from deepchecks_telemetry.collector.tables.periods import KINDS, following, previous, start_of


class Seen(NamedTuple):
    """A day on which installations were active, and their version; of two, the later is larger."""

    day: int
    version: str


# What `growth` counts: installations by the kind of period, their first period, a period, its version, and whether they
# were active in the period before it.
Entry = tuple[str, int, int, str, bool]
_ALL = "SELECT period, day, version FROM active WHERE kind = ? AND installation = ?"
_NEAR = f"{_ALL} AND period BETWEEN ? AND ?"
_FIRST = "SELECT min(period) FROM active WHERE kind = ? AND installation = ?"
_ACTIVE = """
INSERT INTO active (kind, installation, period, day, version) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (kind, installation, period) DO UPDATE SET day = excluded.day, version = excluded.version
"""
_ADD = """
INSERT INTO growth (kind, first, period, version, kept, installations) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (kind, first, period, version, kept) DO UPDATE SET installations = installations + excluded.installations
"""


def add_growth(connection: sqlite3.Connection, active: Mapping[Seen, Iterable[int]]) -> None:
    """Add what was seen of which installations; in the transaction that stored the rows."""
    for kind in KINDS:
        changes: Counter[Entry] = Counter()
        stored = []
        for installation, seen in sorted(_last_seen(kind, active).items()):
            later = _later(connection, kind, installation, seen, changes)
            stored += [(kind, installation, period, *last) for period, last in later.items()]
        # In the order of the table, which changes the fewest pages.
        connection.executemany(_ACTIVE, stored)
        connection.executemany(_ADD, [(*entry, number) for entry, number in changes.items() if number])


def _last_seen(kind: str, active: Mapping[Seen, Iterable[int]]) -> dict[int, dict[int, Seen]]:
    """What was seen last of each installation in each period. On one day, the order is not known: see `Seen`."""
    last: defaultdict[int, dict[int, Seen]] = defaultdict(dict)
    for seen, installations in sorted(active.items(), key=itemgetter(0)):
        period = start_of(kind, seen.day)
        for installation in installations:
            last[installation][period] = seen
    return last


def _later(
    connection: sqlite3.Connection, kind: str, installation: int, seen: dict[int, Seen], changes: Counter[Entry]
) -> dict[int, Seen]:
    """What is later than what is stored of an installation; `changes` is how the sums change by it."""
    near = previous(kind, min(seen)), following(kind, max(seen))
    stored = _read(connection.execute(_NEAR, (kind, installation, *near)))
    later = {period: last for period, last in seen.items() if period not in stored or last > stored[period]}
    if any(period not in stored or last.version != stored[period].version for period, last in later.items()):
        first = connection.execute(_FIRST, (kind, installation)).fetchone()[0] or min(later)
        if min(later) < first:  # which changes what all its periods add to the sums
            stored = _read(connection.execute(_ALL, (kind, installation)))
        changes.update(entries(kind, stored | later, min(first, *later)))
        changes.subtract(entries(kind, stored, first))
    return later


def _read(rows: Iterable[tuple[int, int, str]]) -> dict[int, Seen]:
    return {period: Seen(day, version) for period, day, version in rows}


def entries(kind: str, periods: Mapping[int, Seen], first: int) -> Iterator[Entry]:
    """What the periods of one installation add to the sums."""
    for period, seen in periods.items():
        yield kind, first, period, seen.version, previous(kind, period) in periods
