"""Counts over time as one inline SVG: at most about a hundred bars for any number of years, each with its numbers."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from deepchecks_telemetry.cli.html import Html, join, tag
from deepchecks_telemetry.cli.page.data import STATES

EPOCH = date(1970, 1, 1)
LAST_DAY = (date.max - EPOCH).days
VALID_DAYS = range(LAST_DAY + 1)  # a spool that was edited by hand can hold any other number, or a text
MAX_BARS = 120
MIN_DAYS = 14  # a single day would be one bar as wide as the page
WIDTH, HEIGHT = 720, 180


@dataclass(frozen=True, slots=True)
class Unit:
    """The time that a bar covers: `floor` is the first day of a day's bar; the next bar begins within `step_days`."""

    name: str
    step_days: int
    floor: Callable[[date], date]

    def title(self, start: date) -> str:
        """The time from `start` on, as short as it is unambiguous."""
        return {"month": f"{start:%Y-%m}", "year": f"{start:%Y}"}.get(self.name, start.isoformat())

    def last_day(self, start: date) -> date:
        """The last day of the bar that begins at `start`."""
        if (date.max - start).days < self.step_days:
            return date.max
        return self.floor(start + timedelta(self.step_days)) - timedelta(1)


MONTH = Unit("month", 31, lambda day: day.replace(day=1))
YEAR = Unit("year", 366, lambda day: day.replace(month=1, day=1))
CENTURY = Unit("century", 36_525, lambda day: date(day.year - day.year % 100, 1, 1))
UNITS = (
    Unit("day", 1, lambda day: day),
    Unit("week", 7, lambda day: day - timedelta(day.weekday())),
    MONTH,
    YEAR,
    CENTURY,
)


@dataclass(frozen=True, slots=True)
class Bar:
    """The number of events in each state, in the time from `start` on."""

    start: date
    sums: Counter[str]

    @property
    def total(self) -> int:
        """The number of events in all states."""
        return sum(self.sums.values())


def by_day(counts: Iterable[tuple[int, str, int]]) -> dict[int, Counter[str]]:
    """Sums by day and state of (day, state, number), oldest day first; invalid days are left out."""
    sums: dict[int, Counter[str]] = {}
    for day, state, number in counts:
        if day in VALID_DAYS:
            sums.setdefault(day, Counter())[state] += number
    return dict(sorted(sums.items()))


def bars(days: dict[int, Counter[str]], today: int) -> tuple[Unit, list[Bar]]:
    """The bars from the first day to today."""
    first, last = min([*days, today - MIN_DAYS + 1]), max([*days, today])
    return bars_between(days, EPOCH + timedelta(max(first, 0)), EPOCH + timedelta(min(last, LAST_DAY)))


def bars_between(days: dict[int, Counter[str]], start: date, end: date) -> tuple[Unit, list[Bar]]:
    """The bars from `start` to `end`, which contain all days, in the smallest unit that needs less than `MAX_BARS`."""
    unit = next((unit for unit in UNITS if (end - start).days / unit.step_days < MAX_BARS), UNITS[-1])
    by_start = {begin: Bar(begin, Counter()) for begin in _starts(unit, start, end)}
    for day, sums in days.items():
        by_start[unit.floor(EPOCH + timedelta(day))].sums.update(sums)
    return unit, list(by_start.values())


def legend(texts: Mapping[str, str]) -> Html:
    """The colour of each state, with its text."""
    return tag("ul", *map(_legend_entry, texts, texts.values()), class_="legend")


def _legend_entry(state: str, text: str) -> Html:
    swatch = tag("rect", class_=state, width="14", height="14")
    return tag("li", tag("svg", swatch, viewBox="0 0 14 14", aria_hidden="true"), text)


def _starts(unit: Unit, start: date, end: date) -> Iterator[date]:
    begin = unit.floor(start)
    while begin <= end:
        yield begin
        if (date.max - begin).days < unit.step_days:
            return
        begin = unit.floor(begin + timedelta(unit.step_days))


def ceiling(largest: int) -> int:
    """The top of the axis: a round even number, because its half is labelled too."""
    if largest <= 2:
        return 2
    power: int = 10 ** int(math.log10(largest))
    return next(top for top in (power, 2 * power, 4 * power, 6 * power, 8 * power, 10 * power) if top >= largest)


def chart(unit: Unit, all_bars: Sequence[Bar], *, label: str) -> Html:
    """The chart; its axes are HTML, so that their text keeps its size on a phone."""
    top = ceiling(max(bar.total for bar in all_bars))
    width = WIDTH / len(all_bars)
    body = join(*(_stack(bar, unit, index * width, width, top) for index, bar in enumerate(all_bars)))
    lines = join(*(_line(y) for y in (0, HEIGHT / 2, HEIGHT)))
    svg = tag(
        "svg", tag("title", label), lines, body,
        viewBox=f"0 0 {WIDTH} {HEIGHT}", preserveAspectRatio="none", role="img", aria_label=label,
    )  # fmt: skip
    rule = tag("div", *(tag("span", f"{value:,}") for value in (top, top // 2, 0)), class_="rule", aria_hidden="true")
    marks = (all_bars[0], all_bars[len(all_bars) // 2], all_bars[-1])
    scale = tag("div", *(tag("span", unit.title(bar.start)) for bar in marks), class_="scale", aria_hidden="true")
    return tag("div", rule, svg, scale, class_="chart")


def _stack(bar: Bar, unit: Unit, x: float, width: float, top: int) -> Html:
    numbers = ", ".join(f"{bar.sums[state]:,} {state}" for state in STATES if bar.sums[state]) or "nothing"
    parts, y = [tag("title", f"{unit.name} {unit.title(bar.start)}: {numbers}")], float(HEIGHT)
    parts.append(_rect("hit", x, 0, width, HEIGHT))
    for state in STATES:
        if bar.sums[state] > 0:
            height = HEIGHT * bar.sums[state] / top
            y -= height
            parts.append(_rect(state, x + width * 0.1, y, width * 0.8, height))
    return tag("g", *parts)


def _rect(class_: str, x: float, y: float, width: float, height: float) -> Html:
    return tag("rect", class_=class_, x=f"{x:.2f}", y=f"{y:.2f}", width=f"{width:.2f}", height=f"{height:.2f}")


def _line(y: float) -> Html:
    return tag("line", x1="0", x2=WIDTH, y1=y, y2=y)


def hatching() -> Html:
    """The patterns that distinguish unsent from sent events without colour; every chart of the page refers to them."""
    patterns = map(_hatch, ("pending", "sealed", "parked"), ("scale(-1 1)", None, None))
    return tag("svg", tag("defs", *patterns), class_="hatching", width="0", height="0", aria_hidden="true")


def _hatch(state: str, transform: str | None) -> Html:
    path = tag("path", d="M-1,1 l2,-2 M0,6 l6,-6 M5,7 l2,-2")
    box = tag("rect", width="6", height="6")
    return tag(
        "pattern", box, path, id=f"hatch-{state}",
        width="6", height="6", patternUnits="userSpaceOnUse", patternTransform=transform,
    )  # fmt: skip
