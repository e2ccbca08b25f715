"""Reads how the installations of each day, week or month relate to those before, from the sums or from the groups."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from deepchecks_telemetry.collector.reporting.groups import Source
from deepchecks_telemetry.collector.reporting.options import Options
from deepchecks_telemetry.collector.tables.periods import KINDS, following, number_of, previous, start_of

# Days outside are in no store that was not edited by hand; they have no date.
FIRST_DAY, LAST_DAY = -7, 100_000
DAYS = f"BETWEEN {FIRST_DAY} AND {LAST_DAY}"
_SUMS = f"""
SELECT first, period, CAST(version AS TEXT), kept <> 0, CAST(installations AS INTEGER) FROM growth
WHERE kind = ? AND installations > 0 AND first {DAYS} AND period {DAYS}
"""  # noqa: S608 — a constant
NEVER, EARLIER = -(2**31), -(2**31) + 1  # instead of the first period of an installation
_BEFORE = """
SELECT DISTINCT CAST(installation AS INTEGER) FROM active
WHERE kind = 'week' AND period < ? AND installation BETWEEN 1 AND ?
"""

Days = Mapping[tuple[int, str], bytes]  # the installations of each day and version, in 4 bytes each


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


def read_histories(source: Source, kinds: Iterable[str]) -> dict[str, History]:
    """The sums of the store where it has them; otherwise the same numbers of the chosen groups."""
    stored = [kind for kind in kinds if kind in KINDS and not source.options.filtered]
    counted = [kind for kind in kinds if kind not in stored]
    days = source.by_day(*_range(source.options)) if counted else {}
    before = _read_before(source) if counted else ()
    histories = {kind: _history(kind, _count(source, kind, days, before)) for kind in counted}
    return histories | {kind: _history(kind, _stored(source, kind)) for kind in stored}


def _history(kind: str, growth: Iterable[Growth]) -> History:
    growth = list(growth)
    return History(_activity(kind, growth), _adoption(growth), _retention(growth))


def _stored(source: Source, kind: str) -> Iterator[Growth]:
    for growth in map(Growth._make, source.connection.execute(_SUMS, (kind,))):
        if start_of(kind, growth.period) == growth.period:  # otherwise the store was edited by hand
            yield growth


def _read_before(source: Source) -> Sequence[int]:
    """The installations that were active before the days that are read."""
    first, _ = _range(source.options)
    before = source.connection.execute(_BEFORE, (first, source.most)) if first > FIRST_DAY else ()
    return [number for (number,) in before]


def _range(options: Options) -> tuple[int, int]:
    """The first and last day to be read: the sums, by week and without a filter, begin with a Monday."""
    first, last = FIRST_DAY, LAST_DAY
    if options.since and not options.filtered:
        first = start_of("week", number_of(options.since) - 1)
    if options.until:
        last = following(options.by, start_of(options.by, number_of(options.until))) - 1
    return first, last


def _count(source: Source, kind: str, days: Days, before: Iterable[int]) -> Iterator[Growth]:
    """What the store keeps in `growth`, of the chosen groups."""
    first = [NEVER] * (source.most + 1)  # the first period of each installation
    for number in before:
        first[number] = EARLIER
    by_period = {period: list(chosen) for period, chosen in groupby(days, key=lambda key: start_of(kind, key[0]))}
    former = dict[int, str]()
    for period, chosen in by_period.items():
        versions = dict[int, str]()  # the last one of each installation; as in the sums, of two on a day the larger
        for day, version in chosen:
            versions.update(dict.fromkeys(source.installations_of(days[day, version]), version))
        for number in versions:
            if first[number] == NEVER:
                first[number] = period
        kept = map((former if previous(kind, period) in by_period else {}).__contains__, versions)
        counts = Counter(zip(map(first.__getitem__, versions), versions.values(), kept, strict=True))
        for (start, version, was_active), installations in counts.items():
            yield Growth(start, period, version, was_active, installations)
        former = versions


def periods(kind: str, first: int, last: int) -> Iterator[int]:
    """The periods from one that begins on the first day to the one with the last day."""
    while first <= last:
        yield first
        first = following(kind, first)


def _activity(kind: str, history: Iterable[Growth]) -> dict[int, Activity]:
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


def _adoption(history: Iterable[Growth]) -> dict[int, dict[str, int]]:
    """The installations of each period by the last version that was seen in it, so that their sum is all of them."""
    versions: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for growth in history:
        versions[growth.period][growth.version] += growth.installations
    return versions


def _retention(history: Iterable[Growth]) -> dict[int, dict[int, int]]:
    """The installations by their first period, and how many of them were active in each later one."""
    cohorts: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for growth in history:
        cohorts[growth.first][growth.period] += growth.installations
    return cohorts
