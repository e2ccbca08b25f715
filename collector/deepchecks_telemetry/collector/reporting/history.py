"""Reads how the installations of each day, week or month relate to those before, from the sums or from the rows."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from deepchecks_telemetry.collector.reporting.options import Options
from deepchecks_telemetry.collector.tables.growth import Entry, entries
from deepchecks_telemetry.collector.tables.periods import KINDS, following, number_of, previous, start_of

# Days outside are in no store that was not edited by hand; they have no date.
DAYS = "BETWEEN -7 AND 100000"
_SUMS = f"""
SELECT first, period, CAST(version AS TEXT), kept <> 0, CAST(installations AS INTEGER) FROM growth
WHERE kind = ? AND installations > 0 AND first {DAYS} AND period {DAYS}
"""  # noqa: S608 — a constant
# As in the sums, the largest text of an installation's versions on a day counts.
_DAYS = """
SELECT installation, day, max(CAST(deepchecks_version AS TEXT))
FROM counts JOIN environments ON environments.id = environment WHERE day {days} {filter}
GROUP BY installation, day ORDER BY installation, day
"""
_BEFORE = -(10**6)  # the first period of installations that were active before the range


class Growth(NamedTuple):
    """Installations that were active in a period after their first period with these properties."""

    first: int
    period: int
    version: str
    kept: bool
    installations: int


class Activity(NamedTuple):
    """The installations of a period; `lost` counts those of the period before, and is None until this one has ended."""

    active: int = 0
    new: int = 0
    returned: int = 0
    lost: int | None = 0


def read_histories(connection: sqlite3.Connection, kinds: Iterable[str], options: Options) -> dict[str, list[Growth]]:
    """The sums of the store where it has them; otherwise the same sums of the chosen rows."""
    stored = [kind for kind in kinds if kind in KINDS and not options.filtered]
    histories = {kind: list(_stored(connection, kind)) for kind in stored}
    return _count(connection, [kind for kind in kinds if kind not in stored], options) | histories


def _stored(connection: sqlite3.Connection, kind: str) -> Iterator[Growth]:
    for growth in map(Growth._make, connection.execute(_SUMS, (kind,))):
        if start_of(kind, growth.period) == growth.period:  # otherwise the store was edited by hand
            yield growth


def _count(connection: sqlite3.Connection, kinds: list[str], options: Options) -> dict[str, list[Growth]]:
    sums = Counter[Entry]()
    rows = connection.execute(_DAYS.format(days=DAYS, filter=where(options)), options._asdict()) if kinds else ()
    for _, days in groupby(rows, itemgetter(0)):
        seen = [(day, version) for _, day, version in days]
        for kind in kinds:
            versions = {start_of(kind, day): version for day, version in seen}
            sums.update(_entries_of_range(kind, versions, options))
    histories: dict[str, list[Growth]] = {kind: [] for kind in kinds}
    for (kind, first, period, version, kept), installations in sums.items():
        histories[kind].append(Growth(first, period, version, kept, installations))
    return histories


def _entries_of_range(kind: str, versions: dict[int, str], options: Options) -> Iterator[Entry]:
    """What one installation adds; without what is long before the range, of which there can be millions by day."""
    start = start_of(kind, start_of(options.by, number_of(options.since))) if options.since else _BEFORE
    for entry in entries(kind, versions, next(iter(versions))):
        if entry[2] >= start or following(kind, entry[2]) == start:
            yield entry if entry[1] >= start else (kind, _BEFORE, *entry[2:])


def where(options: Options) -> str:
    """The condition on rows of `counts`, with the names of the options as parameters."""
    event = " AND event = (SELECT number FROM events WHERE name = :event)" * (options.event is not None)
    environments = "SELECT id FROM environments WHERE deepchecks_version = :version"
    return event + f" AND environment IN ({environments})" * (options.version is not None)


def periods(kind: str, first: int, last: int) -> Iterator[int]:
    """The periods from one that begins on the first day to the one with the last day."""
    while first <= last:
        yield first
        first = following(kind, first)


def activity(kind: str, history: Iterable[Growth]) -> dict[int, Activity]:
    """The installations of each period, and after the last one those that it lost."""
    active, new, kept = defaultdict[int, int](int), defaultdict[int, int](int), defaultdict[int, int](int)
    for growth in history:
        active[growth.period] += growth.installations
        new[growth.period] += growth.installations * (growth.first == growth.period)
        kept[growth.period] += growth.installations * growth.kept
    chosen = {*active, *(following(kind, period) for period in active)}
    return {
        period: Activity(
            active[period], new[period], active[period] - new[period], active[previous(kind, period)] - kept[period]
        )
        for period in sorted(chosen)
    }


def adoption(history: Iterable[Growth]) -> dict[int, dict[str, int]]:
    """The installations of each period by the last version that was seen in it, so that their sum is all of them."""
    versions: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for growth in history:
        versions[growth.period][growth.version] += growth.installations
    return versions


def retention(history: Iterable[Growth]) -> dict[int, dict[int, int]]:
    """The installations by their first period, and how many of them were active in each later one."""
    cohorts: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for growth in history:
        cohorts[growth.first][growth.period] += growth.installations
    return cohorts
