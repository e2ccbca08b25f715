"""No cell is too small, merging loses nothing, and an interval contains its share."""

from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepchecks_telemetry.collector.reporting.suppression import OTHER, Cell, fold, fold_cohorts, share_of

# The installations with each value; each has one event.
SEEN = st.dictionaries(st.sampled_from([*"abcdefgh", OTHER]), st.frozensets(st.integers(0, 30), min_size=1))


def cells(seen: dict[str, frozenset[int]]) -> dict[str, Cell]:
    return {value: Cell(len(who), len(who), len(who)) for value, who in seen.items()}


@given(SEEN, st.integers(1, 8))
def test_folded_cells_are_large_enough_and_add_up(seen: dict[str, frozenset[int]], minimum: int) -> None:
    def together(values: Collection[str]) -> Cell:
        number = sum(len(seen[value]) for value in values)
        return Cell(number, number, len(frozenset[int]().union(*(seen[value] for value in values))))

    before, after = cells(seen), fold(cells(seen), minimum, together)
    assert sum(cell.events for cell in after.values()) == sum(cell.events for cell in before.values())
    large = [value for value, cell in after.items() if cell.installations >= minimum]
    assert len(large) == len(after) or set(after) == {
        OTHER
    }  # if the whole store has too few, nothing is left to merge with
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


def test_small_cohorts_are_merged_and_rare_returns_omitted() -> None:
    cohorts = {"w1": [10, 7, 2], "w2": [1, 1], "w3": [9, 0, 0, 5], "w4": [20]}
    assert fold_cohorts(cohorts, 5) == {"w1": [10, 7, None], "w4": [20], OTHER: [10, None, 0, 5]}
    assert fold_cohorts(cohorts, 1) == cohorts
    assert fold_cohorts({}, 5) == {}
    assert fold_cohorts({"w1": [2, 1]}, 5) == {OTHER: [None, None]}
