"""No number of a report is below the minimum, nor is a difference between numbers of reports with any options."""

import csv
import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from deepchecks_telemetry.collector import Options, Report, as_csv, report
from deepchecks_telemetry.collector.otlp import Row
from deepchecks_telemetry.collector.store import Store
from deepchecks_telemetry.spool.catalogue import EVENT_NUMBERS, Environment

VERSIONS, SYSTEMS, LAST = ("0.18.1", "0.19.0", "0.19.1"), ("debian", "ubuntu", "other"), date(2025, 9, 1)
TODAY = LAST + timedelta(days=1)


PHASES = (Phase.generate,)  # a seed cannot be made simpler
SEEDS = st.integers(0, 10**6)  # of a store: a list of rows takes long to generate
DAYS = st.none() | st.integers(0, 50).map(lambda ago: LAST - timedelta(days=ago))
OPTIONS = st.builds(
    Options,
    DAYS,
    DAYS,
    st.sampled_from(["day", "week", "month"]),
    st.sampled_from([None, None, None, *EVENT_NUMBERS]),  # mostly without a filter, so that enough is left to be shown
    st.sampled_from([None, None, None, *VERSIONS]),
    st.sampled_from([5, 10, 15]),
)


def in_order(options: Options) -> Options:
    """The options with a range that does not end before it begins."""
    since, until = options.since, options.until
    return options._replace(until=max(since, until)) if since and until else options


@contextmanager
def stored(seed: int) -> Iterator[Path]:
    """A store with some rows, in which most counts are small."""
    chance = Random(seed)
    rows = []
    for number in range(chance.randint(10, 150)):
        values = (chance.choice(VERSIONS), "linux", chance.choice(SYSTEMS), "12", "cpython", "3.11", "ci")
        day, event = LAST - timedelta(days=chance.randrange(46)), chance.choice(list(EVENT_NUMBERS))
        who = str(UUID(int=chance.randrange(16)))
        rows.append(Row(str(UUID(int=number)), day.isoformat(), event, 1, Environment(*values), who))
    with TemporaryDirectory() as folder:
        with closing(Store(Path(folder) / "store.db")) as store:
            store.append(rows, received=TODAY)
        yield Path(folder) / "store.db"


def numbers(value: Any, path: tuple[object, ...] = ()) -> Iterator[tuple[tuple[object, ...], int]]:
    """Each number that a report shows, with where it is; without the options and the days of the report."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield from numbers(child, (*path, name))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from numbers(child, (*path, index))
    elif isinstance(value, int):
        yield path, value


def shown(result: Report) -> dict[tuple[object, ...], int]:
    as_dict = {name: value for name, value in result.as_dict().items() if name not in Options._fields}
    in_json = dict(numbers(as_dict))
    lines = list(csv.reader(io.StringIO(as_csv(result))))[1:]
    in_csv = {("csv", *line[:4]): int(line[6]) for line in lines if line[6]}
    assert not any(line[4] or line[5] for line in lines)  # events and rows
    return in_json | in_csv


@given(SEEDS, OPTIONS, OPTIONS)
@settings(max_examples=100, deadline=None, phases=PHASES)
def test_neither_a_number_nor_a_difference_between_reports_is_below_the_minimum(
    seed: int, one: Options, two: Options
) -> None:
    one, two = in_order(one), in_order(two)
    with stored(seed) as path:
        first, second = (shown(report(path, options, today=TODAY)) for options in (one, two))
    for options, result in ((one, first), (two, second)):
        assert all(number == 0 or number >= options.min_cell for number in result.values())
    least = min(one.min_cell, two.min_cell)
    for key in first.keys() & second.keys():
        assert abs(first[key] - second[key]) not in range(1, 5), (key, least)
    # Nor is one between any two numbers, so that no sum or complement of groups is small.
    together = {*first.values(), *second.values()}
    assert all(abs(a - b) not in range(1, 5) for a in together for b in together)


@given(SEEDS, OPTIONS, st.sampled_from([10, 15, 50]))
@settings(max_examples=30, deadline=None, phases=PHASES)
def test_a_larger_minimum_shows_nothing_that_the_smallest_does_not(seed: int, options: Options, larger: int) -> None:
    options = options._replace(since=options.since or LAST - timedelta(days=50), until=options.until or LAST)
    options = in_order(options)
    with stored(seed) as path:
        small, large = (
            dict(numbers({"by": report(path, options._replace(min_cell=least), today=TODAY).as_dict()["active"]}))
            for least in (5, larger)
        )
    assert all(number == small[key] // larger * larger for key, number in large.items())


@given(SEEDS)
@settings(max_examples=30, deadline=None, phases=PHASES)
def test_which_values_and_periods_are_shown_depends_on_rounded_numbers_only(seed: int) -> None:
    """The value of a single installation has no row, no column and no day of its own."""
    with stored(seed) as path:
        result = report(path, Options(min_cell=5), today=TODAY)
    assert all(number >= 5 for versions in result.adoption.values() for number in versions.values())
    assert all(cell.installations >= 5 for cells in result.by.values() for cell in cells.values())
    if result.activity:
        weeks = list(result.activity["week"].values())
        assert weeks[0].active >= 5
        assert weeks[-1].active >= 5
