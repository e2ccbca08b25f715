"""Weeks and months as the numbers of their first days, counted from 1970-01-01; a week begins on its Monday."""

from datetime import date, timedelta
from functools import cache

EPOCH = date(1970, 1, 1)
KINDS = ("week", "month")  # of which the store keeps sums; reports can also be by day
WEEK = 7


@cache  # some thousands of days
def start_of(kind: str, day: int) -> int:
    """The first day of the day, week or month that contains a day."""
    if kind == "month":
        return number_of(date_of(day).replace(day=1))
    return day - (day + 3) % WEEK if kind == "week" else day  # 1970-01-01 was a Thursday


@cache
def previous(kind: str, start: int) -> int:
    """The first day of the period before."""
    return start_of(kind, start - 1)


@cache
def following(kind: str, start: int) -> int:
    """The first day of the period after."""
    return start_of(kind, start + (32 if kind == "month" else WEEK if kind == "week" else 1))


def number_of(day: date) -> int:
    """The number of a day."""
    return (day - EPOCH).days


@cache
def date_of(day: int) -> date:
    """The day with a number."""
    return EPOCH + timedelta(days=day)
