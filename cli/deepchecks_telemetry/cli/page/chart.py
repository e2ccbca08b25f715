"""Counts over time as one inline SVG: at most some hundred bars, whatever the years, each with its numbers as text."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from deepchecks_telemetry.cli.page.facts import STATES, Count
from deepchecks_telemetry.cli.page.html import Html, join, tag

EPOCH = date(1970, 1, 1)
LAST_DAY = (date.max - EPOCH).days
ANY_DAY = range(LAST_DAY + 1)  # a spool that was edited by hand can hold a day that is none, or a text
MOST_BARS = 120
FEWEST_DAYS = 14  # a first day alone would be one bar as wide as the page
WIDE, HIGH = 720, 180


@dataclass(frozen=True, slots=True)
class Unit:
    """What a bar stands for: `floor` gives the first day of the bar that a day is in, `step_days` reaches the next."""

    name: str
    step_days: int
    floor: Callable[[date], date]


UNITS = (
    Unit("day", 1, lambda day: day),
    Unit("week", 7, lambda day: day - timedelta(day.weekday())),
    Unit("month", 31, lambda day: day.replace(day=1)),
    Unit("year", 366, lambda day: day.replace(month=1, day=1)),
    Unit("century", 36_525, lambda day: date(day.year - day.year % 100, 1, 1)),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time and how many events of each state are in it."""

    start: date
    sums: Counter[str]

    @property
    def total(self) -> int:
        """All states together."""
        return sum(self.sums.values())


def by_day(counts: Iterable[Count]) -> dict[int, Counter[str]]:
    """Sums by day and state, oldest first; days that no calendar has are left to the caller's totals."""
    sums: dict[int, Counter[str]] = {}
    for count in counts:
        if count.day in ANY_DAY:
            sums.setdefault(count.day, Counter())[count.state] += count.count
    return dict(sorted(sums.items()))


def bars(days: dict[int, Counter[str]], today: int) -> tuple[Unit, list[Bar]]:
    """The bars from the first day to today, in the smallest unit of which there are not too many."""
    first, last = min([*days, today - FEWEST_DAYS + 1]), max([*days, today])
    start, end = EPOCH + timedelta(max(first, 0)), EPOCH + timedelta(min(last, LAST_DAY))
    unit = next((unit for unit in UNITS if (end - start).days / unit.step_days < MOST_BARS), UNITS[-1])
    made = {begin: Bar(begin, Counter()) for begin in _starts(unit, start, end)}
    for day, sums in days.items():
        made[unit.floor(EPOCH + timedelta(day))].sums.update(sums)
    return unit, list(made.values())


def _starts(unit: Unit, start: date, end: date) -> Iterator[date]:
    begin = unit.floor(start)
    while begin <= end:
        yield begin
        if (date.max - begin).days < unit.step_days:
            return
        begin = unit.floor(begin + timedelta(unit.step_days))


def ceiling(largest: int) -> int:
    """The top of the axis: 1, 2 or 5 and zeros, and even, so that its half is a number of events too."""
    if largest <= 2:
        return 2
    power: int = 10 ** int(math.log10(largest))
    return next(top for top in (power, 2 * power, 4 * power, 6 * power, 8 * power, 10 * power) if top >= largest)


def chart(unit: Unit, drawn: Sequence[Bar], *, label: str) -> Html:
    """The picture; its axes are HTML, so that their letters keep their size on a phone."""
    top = ceiling(max(bar.total for bar in drawn))
    wide = WIDE / len(drawn)
    body = join(*(_stack(bar, unit, index * wide, wide, top) for index, bar in enumerate(drawn)))
    lines = join(*(_line(y) for y in (0, HIGH / 2, HIGH)))
    picture = tag(
        "svg", tag("title", label), _hatching(), lines, body,
        viewBox=f"0 0 {WIDE} {HIGH}", preserveAspectRatio="none", role="img", aria_label=label,
    )  # fmt: skip
    rule = tag("div", *(tag("span", f"{value:,}") for value in (top, top // 2, 0)), class_="rule", aria_hidden="true")
    marks = (drawn[0], drawn[len(drawn) // 2], drawn[-1])
    scale = tag("div", *(tag("span", _name(bar.start, unit)) for bar in marks), class_="scale", aria_hidden="true")
    return tag("div", rule, picture, scale, class_="chart")


def _stack(bar: Bar, unit: Unit, x: float, wide: float, top: int) -> Html:
    said = ", ".join(f"{bar.sums[state]:,} {state}" for state in STATES if bar.sums[state]) or "nothing"
    parts, y = [tag("title", f"{unit.name} {_name(bar.start, unit)}: {said}")], float(HIGH)
    parts.append(_rect("hit", x, 0, wide, HIGH))
    for state in STATES:
        if bar.sums[state] > 0:
            high = HIGH * bar.sums[state] / top
            y -= high
            parts.append(_rect(state, x + wide * 0.1, y, wide * 0.8, high))
    return tag("g", *parts)


def _rect(kind: str, x: float, y: float, wide: float, high: float) -> Html:
    return tag("rect", class_=kind, x=f"{x:.2f}", y=f"{y:.2f}", width=f"{wide:.2f}", height=f"{high:.2f}")


def _line(y: float) -> Html:
    return tag("line", x1="0", x2=WIDE, y1=y, y2=y)


def _hatching() -> Html:
    """What tells waiting from sent where there is no colour."""
    path = tag("path", d="M-1,1 l2,-2 M0,6 l6,-6 M5,7 l2,-2")
    box = tag("rect", width="6", height="6")
    return tag("defs", tag("pattern", box, path, id="hatch", width="6", height="6", patternUnits="userSpaceOnUse"))


def _name(start: date, unit: Unit) -> str:
    return {"month": f"{start:%Y-%m}", "year": f"{start:%Y}"}.get(unit.name, start.isoformat())
