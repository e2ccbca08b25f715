"""Reads how the installations of each day, week or month relate to those before, from the sums or from the rows."""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from deepchecks_telemetry.collector.reporting.options import Options
from deepchecks_telemetry.collector.reporting.rows import Source, set_of
from deepchecks_telemetry.collector.tables.periods import KINDS, following, number_of, previous, start_of

# Days outside are in no store that was not edited by hand; they have no date.
FIRST_DAY, LAST_DAY = -7, 100_000
DAYS = f"BETWEEN {FIRST_DAY} AND {LAST_DAY}"
_SUMS = f"""
SELECT first, period, CAST(version AS TEXT), kept <> 0, CAST(installations AS INTEGER) FROM growth
WHERE kind = ? AND installations > 0 AND first {DAYS} AND period {DAYS}
"""  # noqa: S608 — a constant
_VERSIONS = "SELECT id, CAST(deepchecks_version AS TEXT) FROM environments"
_BEFORE = "SELECT DISTINCT installation FROM active WHERE kind = 'week' AND period < ?"


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


class History(NamedTuple):
    """The installations by period; by version in each period, each once; and by their first period and later ones."""

    activity: dict[int, Activity]
    adoption: dict[int, dict[str, int]]
    retention: dict[int, dict[int, int]]


class Days(NamedTuple):
    """The rows of each day and version as numbers of installations, with which ones were active before these days."""

    installations: "dict[tuple[int, str], array[int]]"  # before Python 3.12, arrays have no type parameters
    number: int
    before: int


def read_histories(source: Source, kinds: Iterable[str]) -> dict[str, History]:
    """The sums of the store where it has them; otherwise the same numbers of the chosen rows."""
    stored = [kind for kind in kinds if kind in KINDS and not source.options.filtered]
    counted = [kind for kind in kinds if kind not in stored]
    histories = _count(_read_days(source), counted, source.options) if counted else {}
    return histories | {kind: _stored(source, kind) for kind in stored}


def _stored(source: Source, kind: str) -> History:
    growth = [
        one
        for one in map(Growth._make, source.connection.execute(_SUMS, (kind,)))
        if start_of(kind, one.period) == one.period  # otherwise the store was edited by hand
    ]
    return History(_activity_of_sums(kind, growth), _adoption_of_sums(growth), _retention_of_sums(growth))


def _read_days(source: Source) -> Days:
    """The days of the range and those before it, unless the sums show which installations were active before."""
    first, last = _range(source.options)
    versions = dict(source.connection.execute(_VERSIONS))
    numbers: dict[object, int] = {}
    days: defaultdict[tuple[int, str], array[int]] = defaultdict(lambda: array("I"))
    for _, day, environment, installation in source.rows("day, environment, installation", first, last):
        if environment in versions:  # otherwise the store was edited by hand
            days[day, versions[environment]].append(numbers.setdefault(installation, len(numbers)))
    before = (numbers[who] for (who,) in source.connection.execute(_BEFORE, (first,)) if who in numbers)
    return Days(days, len(numbers), set_of(before, len(numbers)) if first > FIRST_DAY else 0)


def _range(options: Options) -> tuple[int, int]:
    """The first and last day to be read: the sums, by week and without a filter, begin with a Monday."""
    first, last = FIRST_DAY, LAST_DAY
    if options.since and not options.filtered:
        first = start_of("week", number_of(options.since) - 1)
    if options.until:
        last = following(options.by, start_of(options.by, number_of(options.until))) - 1
    return first, last


def _count(days: Days, kinds: Iterable[str], options: Options) -> dict[str, History]:
    active: dict[str, defaultdict[int, int]] = {kind: defaultdict(int) for kind in kinds}
    adoption: dict[str, defaultdict[int, dict[str, int]]] = {kind: defaultdict(dict) for kind in kinds}
    # From the last day on: an installation counts for the last version of a period. As in the sums, of two versions on
    # a day the larger text counts.
    for day, version in sorted(days.installations, reverse=True):
        seen = set_of(days.installations[day, version], days.number)
        for kind in kinds:
            period = start_of(kind, day)
            added = seen & ~active[kind][period]
            active[kind][period] |= added
            counts = adoption[kind][period]
            counts[version] = counts.get(version, 0) + added.bit_count()
    return {
        kind: History(
            _activity(kind, active[kind], days.before),
            adoption[kind],
            _retention(active[kind], days.before, options) if kind == options.by else {},
        )
        for kind in kinds
    }


def _activity(kind: str, active: Mapping[int, int], before: int) -> dict[int, Activity]:
    """The installations of each period, and after the last one those that it lost."""
    counted = {}
    for period in sorted({*active, *(following(kind, period) for period in active)}):
        now, former = active.get(period, 0), active.get(previous(kind, period), 0)
        sets = (now, now & ~before, now & before, former & ~now)
        counted[period] = Activity(*(one.bit_count() for one in sets))
        before |= now
    return counted


def _retention(active: Mapping[int, int], before: int, options: Options) -> dict[int, dict[int, int]]:
    """The installations by their first period in the range, and how many of them were active in each later one."""
    start = start_of(options.by, number_of(options.since)) if options.since else FIRST_DAY
    cohorts = {}
    for first in sorted(active):
        new = active[first] & ~before
        before |= new
        if first >= start:
            cohorts[first] = {period: (new & active[period]).bit_count() for period in active if period >= first}
    return cohorts


def periods(kind: str, first: int, last: int) -> Iterator[int]:
    """The periods from one that begins on the first day to the one with the last day."""
    while first <= last:
        yield first
        first = following(kind, first)


def _activity_of_sums(kind: str, history: Iterable[Growth]) -> dict[int, Activity]:
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


def _adoption_of_sums(history: Iterable[Growth]) -> dict[int, dict[str, int]]:
    """The installations of each period by the last version that was seen in it, so that their sum is all of them."""
    versions: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for growth in history:
        versions[growth.period][growth.version] += growth.installations
    return versions


def _retention_of_sums(history: Iterable[Growth]) -> dict[int, dict[int, int]]:
    """The installations by their first period, and how many of them were active in each later one."""
    cohorts: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for growth in history:
        cohorts[growth.first][growth.period] += growth.installations
    return cohorts
