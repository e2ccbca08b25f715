"""What a count may show: no exported cell stands for fewer installations than agreed, and a share tells how sure it is.

Pure functions. A cell that is too small is folded into "other", and further ones with it until "other" is large enough
itself: folded alone, it would be shown under another name.
"""

import math
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

OTHER = "other"
MIN_CELL = 5
Z = 1.96  # the two-sided 95 % of the normal distribution


class Cell(NamedTuple):
    """What falls together under one value."""

    events: int = 0
    rows: int = 0
    installations: int = 0


class Share(NamedTuple):
    """A proportion with its 95 % confidence interval."""

    share: float
    low: float
    high: float


def fold(cells: Mapping[str, Cell], minimum: int, count_together: Callable[[Collection[str]], Cell]) -> dict[str, Cell]:
    """Fold what is small into "other"; `count_together` counts several values as one, each installation once."""
    smallest_first = sorted(cells, key=lambda value: (cells[value].installations, cells[value].events, value))
    small = [value for value in smallest_first if cells[value].installations < minimum]
    if not small:
        return dict(cells)
    folded = small + [OTHER] * (OTHER in cells and OTHER not in small)  # the catalogue has an "other" too
    rest = [value for value in smallest_first if value not in folded]
    while (together := count_together(folded)).installations < minimum and rest:
        folded.append(rest.pop(0))
    return {**{value: cell for value, cell in cells.items() if value not in folded}, OTHER: together}


def share_of(part: int, whole: int) -> Share:
    """Give Wilson's interval, which also holds for few installations and for shares near 0 and 1."""
    if not whole:
        return Share(0.0, 0.0, 1.0)
    share = part / whole
    scale = 1 + Z**2 / whole
    middle = (share + Z**2 / (2 * whole)) / scale
    half = Z / scale * math.sqrt(share * (1 - share) / whole + Z**2 / (4 * whole**2))
    return Share(*(round(min(1.0, max(0.0, value)), 4) for value in (share, middle - half, middle + half)))


def fold_cohorts(cohorts: Mapping[str, list[int]], minimum: int) -> dict[str, list[int | None]]:
    """Fold small cohorts into one, and leave out (None) the weeks in which too few of a cohort were seen."""
    kept = dict(cohorts)
    other: list[int] = []
    for name in sorted(cohorts, key=lambda name: (cohorts[name][0], name)):
        if cohorts[name][0] >= minimum and not 0 < sum(other[:1]) < minimum:
            break
        other = _added(other, kept.pop(name))
    if other:
        kept[OTHER] = other
    return {name: [seen if seen >= minimum or not seen else None for seen in weeks] for name, weeks in kept.items()}


def _added(one: list[int], two: list[int]) -> list[int]:
    return [
        sum(pair)
        for pair in zip(*(each + [0] * (max(len(one), len(two)) - len(each)) for each in (one, two)), strict=True)
    ]
