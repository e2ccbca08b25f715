"""Small counts in reports for others: each number of installations is rounded down to a multiple of the minimum.

So nothing below the minimum is shown, and the difference between any two numbers, also of reports with other options,
is a multiple of it as well. If small counts were merged instead, two reports whose ranges differ by a day would show
how many installations were active on this day only. A minimum is a multiple of 5: then a report with a larger minimum
follows from the one with 5, and shows nothing more. Numbers of events and rows are left out, because a difference
between two of them can be the number of a single installation.
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

MIN_CELL = 5
Key = TypeVar("Key")


class Cell(NamedTuple):
    """The counts for one value; events and rows are None in a report with a minimum."""

    events: int | None = 0
    rows: int | None = 0
    installations: int = 0


def rounded(installations: int, minimum: int) -> int:
    """The largest multiple of the minimum that is not larger; with the minimum 1, the number itself."""
    return installations // minimum * minimum


def rounded_cell(cell: Cell, minimum: int) -> Cell:
    """The cell with its installations rounded, and without events and rows unless the minimum is 1."""
    return cell if minimum == 1 else Cell(None, None, rounded(cell.installations, minimum))


def without_small(counts: Mapping[Key, int], minimum: int) -> dict[Key, int]:
    """The counts, rounded, without those that are then 0; sorted, because an order could show what is left out."""
    return {key: number for key, count in sorted(counts.items()) if (number := rounded(count, minimum))}
