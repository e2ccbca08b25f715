"""Suppresses small counts: no cell that is shown is for fewer installations than a minimum. Adds confidence intervals.

Pure functions. Cells below the minimum are merged into "other", and further cells with them until "other" reaches the
minimum, because "other" with a single small cell would still show it. If all cells together are below the minimum,
nothing is shown. Cells are always merged in the same order, so that the difference between reports with different
minimums is a sum of cells that one of them shows.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import zip_longest
from typing import NamedTuple

OTHER = "other"
MIN_CELL = 5
Z = 1.96  # the two-sided 95 % of the normal distribution


class Cell(NamedTuple):
    """The counts for one value."""

    events: int = 0
    rows: int = 0
    installations: int = 0


class Share(NamedTuple):
    """A proportion with its 95 % confidence interval."""

    share: float
    low: float
    high: float


def fold(cells: Mapping[str, Cell], minimum: int, count_together: Callable[[Collection[str]], Cell]) -> dict[str, Cell]:
    """Merge small cells into "other"; `count_together` counts several values as one, each installation once."""
    smallest_first = sorted(cells, key=lambda value: (cells[value].installations, cells[value].events, value))
    small = [value for value in smallest_first if cells[value].installations < minimum]
    if not small:
        return dict(cells)
    folded = small + [OTHER] * (OTHER in cells and OTHER not in small)  # the catalogue also has a value "other"
    rest = [value for value in smallest_first if value not in folded]
    while (together := count_together(folded)).installations < minimum and rest:
        folded.append(rest.pop(0))
    if together.installations < minimum:
        return {}
    return {**{value: cell for value, cell in cells.items() if value not in folded}, OTHER: together}


def share_of(part: int, total: int) -> Share:
    """The share with Wilson's interval, which is also valid for few installations and shares near 0 and 1."""
    if total <= 0:
        return Share(0.0, 0.0, 1.0)
    share = min(max(part, 0), total) / total  # more than all of them only in a store that was edited by hand
    scale = 1 + Z**2 / total
    middle = (share + Z**2 / (2 * total)) / scale
    half = Z / scale * math.sqrt(share * (1 - share) / total + Z**2 / (4 * total**2))
    return Share(*(round(min(1.0, max(0.0, value)), 4) for value in (share, middle - half, middle + half)))


def fold_cohorts(cohorts: Mapping[str, list[int]], minimum: int) -> dict[str, list[int | None]]:
    """Merge small cohorts into one; None is a count that is not shown, because it or the rest of its cohort is small.

    Of the merged cohort only the size is shown: with the returns, too, another minimum would show those of its parts.
    """
    kept = {name: list(_shown(weeks, minimum)) for name, weeks in cohorts.items()}
    other: list[int] = []
    for name in sorted(cohorts, key=lambda name: (cohorts[name][0], name)):
        if cohorts[name][0] >= minimum and not 0 < sum(other[:1]) < minimum:
            break
        other = _add(other, cohorts[name])
        del kept[name]
    if other and other[0] >= minimum:
        kept[OTHER] = [other[0], *(None if count else 0 for count in other[1:])]
    return kept


def _shown(weeks: list[int], minimum: int) -> Iterator[int | None]:
    for count in weeks:
        small = 0 < count < minimum or 0 < weeks[0] - count < minimum
        yield None if small else count


def _add(one: list[int], two: list[int]) -> list[int]:
    return list(map(sum, zip_longest(one, two, fillvalue=0)))
