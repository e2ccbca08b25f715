"""How the installations of each week and month relate to those before: first weeks, last versions, returns.

`active` has a row for each installation and period with the last version that was seen in it, so an installation counts
for one version. `growth` is the sum of these rows: a report reads some thousands of its rows instead of millions.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from deepchecks_telemetry.collector.tables.periods import KINDS, following, previous, start_of


class Seen(NamedTuple):
    """An installation that was active on a day with a version."""

    installation: int
    day: int
    version: str


# What `growth` counts: installations by the kind of period, their first period, a period, its version, and whether they
# were active in the period before it.
Entry = tuple[str, int, int, str, bool]
_AROUND = """
SELECT period, day, version FROM active WHERE kind = ? AND installation = ? AND period IN (?, ?, ?)
"""
_FIRST = "SELECT min(period) FROM active WHERE kind = ? AND installation = ?"
_ALL = "SELECT period, version FROM active WHERE kind = ? AND installation = ?"
_ACTIVE = """
INSERT INTO active (kind, installation, period, day, version) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (kind, installation, period) DO UPDATE SET day = excluded.day, version = excluded.version
"""
_ADD = """
INSERT INTO growth (kind, first, period, version, kept, installations) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (kind, first, period, version, kept) DO UPDATE SET installations = installations + excluded.installations
"""


def add_growth(connection: sqlite3.Connection, active: Iterable[Seen]) -> None:
    """Add what was seen of installations; in the transaction that stored the rows."""
    changes: Counter[Entry] = Counter()
    for seen in active:
        for kind in KINDS:
            changes.update(_see(connection, kind, seen))
    connection.executemany(_ADD, [(*entry, number) for entry, number in changes.items() if number])


def _see(connection: sqlite3.Connection, kind: str, seen: Seen) -> Counter[Entry]:
    """Store what was seen if it is later than what is stored for its period; return how the sums change."""
    period = start_of(kind, seen.day)
    near = (previous(kind, period), period, following(kind, period))
    around = {start: last for start, *last in connection.execute(_AROUND, (kind, seen.installation, *near))}
    last = around.get(period)
    if last is not None and last >= [*seen[1:]]:  # on the same day, the order is not known: the larger text counts
        return Counter()
    connection.execute(_ACTIVE, (kind, seen.installation, period, *seen[1:]))
    if last is not None and last[1] == seen.version:
        return Counter()
    return _change(connection, kind, seen, period, {start: version for start, (_, version) in around.items()})


def _change(
    connection: sqlite3.Connection, kind: str, seen: Seen, period: int, around: Mapping[int, str]
) -> Counter[Entry]:
    """How the sums change with another version or a new period; if it is before the first, all periods change."""
    (first,) = connection.execute(_FIRST, (kind, seen.installation)).fetchone()
    if first == period:  # of which the new version is already stored
        stored = dict(connection.execute(_ALL, (kind, seen.installation)))
        around = {**{start: version for start, version in stored.items() if start != period}, **around}
    change = Counter(entries(kind, {**around, period: seen.version}, first))
    change.subtract(entries(kind, around, min(around) if first == period and around else first))
    return change


def entries(kind: str, versions: Mapping[int, str], first: int) -> Iterator[Entry]:
    """What the periods of one installation add to the sums."""
    for period, version in versions.items():
        yield kind, first, period, version, previous(kind, period) in versions
