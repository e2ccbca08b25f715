"""The counts as a chart and as exact numbers: by day, by event, by environment."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta

from deepchecks_telemetry.cli.html import Html, table, tag
from deepchecks_telemetry.cli.output import count_text, day_text
from deepchecks_telemetry.cli.page.chart import (
    CENTURY,
    EPOCH,
    MONTH,
    YEAR,
    Unit,
    bars,
    bars_between,
    by_day,
    chart,
    legend,
)
from deepchecks_telemetry.cli.page.data import DAY_S, STATES, PageData
from deepchecks_telemetry.spool.catalogue import EVENTS, Environment
from deepchecks_telemetry.spool.states import BatchState

Days = dict[int, Counter[str]]  # the number of events by state, for each day
MAX_PERIODS = 24  # blocks
BARS = {name: name for name in ("day", "month", "year", "century")} | {"week": "week from Monday to Sunday"}
EMPTY = "Nothing is recorded yet. The chart begins with the first check or suite that runs in an attached program."


def over_time(data: PageData) -> Iterator[object]:
    """The title of the section, which names the unit of the chart; the chart; a closed block for each month or year."""
    sums = by_day((count.day, count.state, count.count) for count in data.counts)
    if not sums:
        yield from ("Events, day by day", tag("p", EMPTY, class_="empty"))
        return
    states = [state for state in STATES if data.sum(state) or state in (BatchState.PENDING, BatchState.DELIVERED)]
    unit, all_bars = bars(sums, int(data.now) // DAY_S)
    yield f"Events, {unit.name} by {unit.name}"
    totals = {str(state): f"{data.sum(state):,} {state}" for state in states}
    yield legend(totals)
    yield chart(unit, all_bars, label=f"Events by {unit.name} (UTC): {', '.join(totals.values())}")
    periods, groups = _groups(sums)
    yield tag(
        "p",
        f"Each bar is a {BARS[unit.name]} (UTC). For the numbers of each day, open a {periods.name}.",
        class_="note",
    )
    if (older := (data.status["delivered"] or 0) - data.sum(BatchState.DELIVERED)) > 0:
        note = f"{count_text(older, 'event')} delivered earlier, whose days are no longer stored."
        yield tag("p", note, class_="note")
    yield from (_period(periods, start, days) for start, days in reversed(groups.items()))


def _groups(sums: Days) -> tuple[Unit, dict[date, Days]]:
    """The days by month; by year or century if that would be too many blocks."""
    for unit in (MONTH, YEAR, CENTURY):
        groups: dict[date, Days] = {}
        for day, by_state in sums.items():
            groups.setdefault(unit.floor(EPOCH + timedelta(day)), {})[day] = by_state
        if len(groups) <= MAX_PERIODS:
            break
    return unit, groups


def _period(period: Unit, start: date, days: Days) -> Html:
    """A closed block with a chart and the numbers of each day."""
    total = sum(days.values(), Counter[str]())
    states = [state for state in STATES if total[state]]
    numbers = ", ".join(f"{total[state]:,} {state}" for state in states)
    unit, its_bars = bars_between(days, start, period.last_day(start))
    title = period.title(start)
    rows = [(day_text(day), *(by_state[state] for state in states)) for day, by_state in reversed(days.items())]
    return tag(
        "details",
        tag("summary", f"{title}: {numbers or 'nothing'}"),
        chart(unit, its_bars, label=f"Events in {title} by {unit.name} (UTC): {numbers}"),
        # With four states, a phone would show three of them and a scroll bar.
        table(("day (UTC)", *states), rows, caption=f"Events in {title} by day and state", blocks=len(states) > 3),
    )


def events(data: PageData) -> Html:
    """Every event of the catalogue, including those that never happened."""
    sums = Counter({event.name: 0 for event in EVENTS})
    for count in data.counts:
        sums[count.event] += count.count
    when = {event.name: event.when for event in EVENTS}
    largest = max(sums.values()) or 1
    rows = [(name, total, _meter(total / largest), when.get(name, "")) for name, total in sums.items()]
    headers = ("event", "count", "share", "counted when")
    return table(headers, rows, caption="By event: only these seven are ever recorded")


def _meter(share: float) -> Html:
    bar = tag("rect", width=f"{max(0.0, 100 * share):.1f}", height="8")
    return tag("svg", bar, class_="meter", viewBox="0 0 100 8", preserveAspectRatio="none", aria_hidden="true")


def environments(data: PageData) -> Html | str:
    """The counts by the coarse values that describe the environment."""
    sums: Counter[tuple[str, ...]] = Counter()
    for count in data.counts:
        sums[_environment_texts(count.environment)] += count.count
    rows = [(*texts, total) for texts, total in sums.most_common()]
    headers = ("deepchecks", "system", "Python", "runtime", "count")
    return table(headers, rows, caption="By environment: no other fields are recorded", blocks=True) if rows else ""


def _environment_texts(environment: Environment) -> tuple[str, ...]:
    system = f"{environment.os_name} {environment.os_version}"
    python = f"{environment.python_name} {environment.python_version}"
    return (str(environment.deepchecks_version), system, python, str(environment.runtime))
