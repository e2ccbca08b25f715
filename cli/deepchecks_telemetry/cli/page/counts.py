"""The counts as a chart and as exact numbers: by day, by event, by environment."""

from collections import Counter
from collections.abc import Iterator

from deepchecks_telemetry.cli.html import Html, table, tag
from deepchecks_telemetry.cli.output import count_text, day_text
from deepchecks_telemetry.cli.page.chart import bars, by_day, chart
from deepchecks_telemetry.cli.page.data import STATES, PageData
from deepchecks_telemetry.spool.catalogue import EVENTS, Environment
from deepchecks_telemetry.spool.db.schema import BatchState

DAY_S = 86_400
EMPTY = "Nothing is recorded yet. The chart begins with the first check or suite that runs in an attached program."


def days(data: PageData) -> Iterator[Html]:
    """The chart, its legend with the totals, and all of its numbers in a collapsed table."""
    sums = by_day(data.counts)
    if not sums:
        yield tag("p", EMPTY, class_="empty")
        return
    states = [state for state in STATES if data.sum(state) or state in (BatchState.PENDING, BatchState.DELIVERED)]
    unit, all_bars = bars(sums, int(data.now) // DAY_S)
    totals = [f"{data.sum(state):,} {state}" for state in states]
    yield tag("ul", *map(_legend_entry, states, totals), class_="legend")
    yield chart(unit, all_bars, label=f"Events by {unit.name} (UTC): {', '.join(totals)}")
    if (older := (data.status["delivered"] or 0) - data.sum(BatchState.DELIVERED)) > 0:
        note = f"{count_text(older, 'event')} delivered earlier, whose days are no longer stored."
        yield tag("p", note, class_="note")
    rows = [(day_text(day), *(by_state[state] for state in states)) for day, by_state in reversed(sums.items())]
    content = table(("day (UTC)", *states), rows, caption="Events by day and state")
    yield tag("details", tag("summary", f"Table of {count_text(len(rows), 'day')}"), content)


def _legend_entry(state: str, total: str) -> Html:
    swatch = tag("rect", class_=state, width="14", height="14")
    return tag("li", tag("svg", swatch, viewBox="0 0 14 14", aria_hidden="true"), total)


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
    return table(headers, rows, caption="By environment: no other fields are recorded") if rows else ""


def _environment_texts(environment: Environment) -> tuple[str, ...]:
    system = f"{environment.os_name} {environment.os_version}"
    python = f"{environment.python_name} {environment.python_version}"
    return (str(environment.deepchecks_version), system, python, str(environment.runtime))
