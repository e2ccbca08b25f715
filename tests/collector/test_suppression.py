"""No cell that is shown is too small, also where two reports are compared, and merging loses nothing."""

import csv
import io
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepchecks_telemetry.collector import as_csv, as_html, report
from deepchecks_telemetry.collector.otlp import Row
from deepchecks_telemetry.collector.reporting.suppression import OTHER, Cell, fold, fold_cohorts, share_of
from deepchecks_telemetry.collector.store import Store
from deepchecks_telemetry.spool.catalogue import EVENT_NUMBERS, Environment

# The installations with each value; each has one event.
SEEN = st.dictionaries(st.sampled_from([*"abcdefgh", OTHER]), st.frozensets(st.integers(0, 30), min_size=1))


def cells(seen: dict[str, frozenset[int]]) -> dict[str, Cell]:
    return {value: Cell(len(who), len(who), len(who)) for value, who in seen.items()}


@given(SEEN, st.integers(1, 8))
def test_folded_cells_are_large_enough_and_add_up(seen: dict[str, frozenset[int]], minimum: int) -> None:
    before, after = cells(seen), folded(seen, minimum)
    enough = len(frozenset[int]().union(*seen.values())) >= minimum
    assert sum(cell.events for cell in after.values()) == enough * sum(cell.events for cell in before.values())
    assert all(cell.installations >= minimum for cell in after.values())
    assert all(after[value] == before[value] for value in after if value != OTHER)


def test_a_single_small_cell_is_not_shown_under_another_name() -> None:
    seen = {"a": frozenset({1}), "b": frozenset(range(2, 9)), "c": frozenset(range(10, 30))}
    sizes = {("a",): 1, ("a", "b"): 8}
    after = fold(cells(seen), 5, lambda values: Cell(8, 8, sizes[tuple(sorted(values))]))
    assert after == {"c": Cell(20, 20, 20), OTHER: Cell(8, 8, 8)}


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [  # Wilson (1927); the values of R's prop.test(correct = FALSE)
        (0, 10, (0.0, 0.0, 0.2775)),
        (5, 10, (0.5, 0.2366, 0.7634)),
        (10, 10, (1.0, 0.7225, 1.0)),
        (81, 263, (0.308, 0.2553, 0.3662)),
        (0, 0, (0.0, 0.0, 1.0)),
    ],
)
def test_a_share_has_wilsons_interval(part: int, whole: int, expected: tuple[float, float, float]) -> None:
    assert share_of(part, whole) == expected


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_an_interval_contains_its_share(part: int, whole: int) -> None:
    share, low, high = share_of(min(part, whole), whole)
    assert 0 <= low <= share <= high <= 1


def test_small_cohorts_are_merged_and_rare_returns_and_losses_omitted() -> None:
    cohorts = {"w1": [10, 5, 2, 7, 0], "w2": [1, 1], "w3": [9, 0, 0, 5], "w4": [20]}
    assert fold_cohorts(cohorts, 5) == {"w1": [10, 5, None, None, 0], "w4": [20], OTHER: [10, None, 0, None]}
    assert fold_cohorts(cohorts, 1) == {**cohorts}
    assert fold_cohorts({}, 5) == {}
    assert fold_cohorts({"w1": [2, 1]}, 5) == {}


class Seen(NamedTuple):
    """One row of a store that is generated: who, when and what."""

    installation: int
    days_ago: int
    event: int
    version: int
    os: int
    days_late: int


VERSIONS, SYSTEMS, FIRST = ("0.18.1", "0.19.0", "0.19.1"), ("debian", "ubuntu", "other"), date(2025, 9, 1)
STORES = st.lists(
    st.builds(
        Seen, st.integers(0, 11), st.integers(0, 25), st.integers(0, 6), st.integers(0, 2), st.integers(0, 2),
        st.sampled_from([0, 5, 40]),
    ),
    max_size=60,
)  # fmt: skip


@contextmanager
def stored(seen: list[Seen]) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        with closing(Store(Path(folder) / "store.db")) as store:
            for number, row in enumerate(seen):
                day = FIRST - timedelta(days=row.days_ago)
                system = SYSTEMS[row.os]
                environment = Environment(VERSIONS[row.version], "linux", system, "12", "cpython", "3.11", "script")
                event = list(EVENT_NUMBERS)[row.event]
                installation = str(UUID(int=row.installation))
                stored_row = Row(str(UUID(int=number)), day.isoformat(), event, 1, environment, installation)
                store.append([stored_row], received=day + timedelta(days=row.days_late))
        yield Path(folder) / "store.db"


@given(STORES, st.integers(2, 6))
@settings(max_examples=60, deadline=None)
def test_no_number_of_any_format_is_below_the_minimum(seen: list[Seen], minimum: int) -> None:
    with stored(seen) as path:
        result = report(path, min_cell=minimum)
    numbers = [line["installations"] for line in csv.DictReader(io.StringIO(as_csv(result)))]
    as_dict = result.as_dict()
    numbers += [number for cells in as_dict["installations_by"].values() for number in cells.values()]
    numbers += [as_dict["installations"], *(count for weeks in as_dict["retention"].values() for count in weeks)]
    assert all(int(number) >= minimum or int(number) == 0 for number in numbers if number not in ("", None))
    few = 0 < len({row.installation for row in seen}) < minimum
    assert few == ("nothing is shown" in as_html(result)) == result.suppressed


def folded(seen: dict[str, frozenset[int]], minimum: int) -> dict[str, Cell]:
    def together(values: Collection[str]) -> Cell:
        number = sum(len(seen[value]) for value in values)
        return Cell(number, number, len(frozenset[int]().union(*(seen[value] for value in values))))

    return fold(cells(seen), minimum, together)


@given(SEEN, st.integers(2, 8), st.integers(2, 8))
@settings(max_examples=300)
def test_the_difference_between_two_reports_shows_no_smaller_group(
    seen: dict[str, frozenset[int]], one: int, two: int
) -> None:
    reports = [folded(seen, least) for least in (one, two)]
    # What a reader of both can distinguish: the values that have the same cell in each of the two reports.
    groups: dict[tuple[str, ...], frozenset[int]] = {}
    for value, who in seen.items():
        shown_as = tuple(cell_of(value, report) for report in reports)
        if any(shown_as):
            groups[shown_as] = groups.get(shown_as, frozenset()) | who
    assert all(len(group) >= min(one, two) for group in groups.values())


def cell_of(value: str, shown: dict[str, Cell]) -> str:
    """The cell that counts a value in a report; nothing where the report shows nothing."""
    return value if value in shown else OTHER if OTHER in shown else ""


COHORTS = st.dictionaries(
    st.sampled_from("abcdef"),
    st.integers(1, 14).flatmap(
        lambda size: st.lists(st.integers(0, size), max_size=2).map(lambda later: [size, *later])
    ),
)


@given(COHORTS, st.integers(2, 8), st.integers(2, 8))
@settings(max_examples=1_000)
def test_the_difference_between_two_retention_tables_shows_no_smaller_group(
    cohorts: dict[str, list[int]], one: int, two: int
) -> None:
    tables = [fold_cohorts(cohorts, least) for least in (one, two)]
    known = [
        ({name} if name != OTHER else set(cohorts) - set(table), week, count)
        for table in tables
        for name, weeks in table.items()
        for week, count in enumerate(weeks)
        if count is not None
    ]
    groups = [count for _, _, count in known]
    groups += [more - less for a, week, less in known for b, other, more in known if week == other and a <= b]
    groups += [size - count for a, first, size in known for b, _, count in known if first == 0 and a == b]
    assert all(number == 0 or number >= min(one, two) for number in groups)
