"""What is counted, drawn and as exact numbers: by day, by event, by environment."""

from collections import Counter
from collections.abc import Iterator

from deepchecks_telemetry.cli.output import count_text, day_text
from deepchecks_telemetry.cli.page.chart import bars, by_day, chart
from deepchecks_telemetry.cli.page.facts import STATES, Count, Facts
from deepchecks_telemetry.cli.page.html import Html, table, tag
from deepchecks_telemetry.spool.catalogue import EVENTS
from deepchecks_telemetry.spool.db.schema import BatchState

DAY_S = 86_400
EMPTY = "Nothing is recorded yet. The chart begins with the first check or suite that runs in an attached program."


def days(facts: Facts) -> Iterator[Html]:
    """The chart, its key with the totals, and all of its numbers, folded."""
    sums = by_day(facts.counts)
    if not sums:
        yield tag("p", EMPTY, class_="empty")
        return
    states = [state for state in STATES if facts.sum(state) or state in (BatchState.PENDING, BatchState.DELIVERED)]
    unit, drawn = bars(sums, int(facts.now) // DAY_S)
    totals = [f"{facts.sum(state):,} {state}" for state in states]
    yield tag("ul", *map(_key, states, totals), class_="legend")
    yield chart(unit, drawn, label=f"Events by {unit.name} (UTC): {', '.join(totals)}")
    if (older := (facts.status["delivered"] or 0) - facts.sum(BatchState.DELIVERED)) > 0:
        yield tag(
            "p", f"{count_text(older, 'event')} delivered earlier, whose days are no longer stored.", class_="note"
        )
    lines = [(day_text(day), *(found[state] for state in states)) for day, found in reversed(sums.items())]
    shown = table(("day (UTC)", *states), lines, caption="Events by day and state")
    yield tag("details", tag("summary", f"Table of {count_text(len(lines), 'day')}"), shown)


def _key(state: str, said: str) -> Html:
    swatch = tag("rect", class_=state, width="14", height="14")
    return tag("li", tag("svg", swatch, viewBox="0 0 14 14", aria_hidden="true"), said)


def events(facts: Facts) -> Html:
    """Every event that may ever be counted, those that were not too."""
    sums = Counter({event.name: 0 for event in EVENTS})
    for count in facts.counts:
        sums[count.event] += count.count
    when = {event.name: event.when for event in EVENTS}
    most = max(sums.values()) or 1
    lines = [(name, total, _meter(total / most), when.get(name, "")) for name, total in sums.items()]
    return table(
        ("event", "count", "share", "counted when"), lines, caption="By event: only these seven are ever recorded"
    )


def _meter(part: float) -> Html:
    bar = tag("rect", width=f"{max(0.0, 100 * part):.1f}", height="8")
    return tag("svg", bar, class_="meter", viewBox="0 0 100 8", preserveAspectRatio="none", aria_hidden="true")


def environments(facts: Facts) -> Html | str:
    """Where it ran, in the coarse values that are all that is known."""
    sums: Counter[tuple[str, ...]] = Counter()
    for count in facts.counts:
        sums[_place(count)] += count.count
    lines = [(*place, total) for place, total in sums.most_common()]
    heads = ("deepchecks", "system", "Python", "runtime", "count")
    return table(heads, lines, caption="By environment: no other fields are recorded") if lines else ""


def _place(count: Count) -> tuple[str, ...]:
    here = count.environment
    python = f"{here.python_name} {here.python_version}"
    return (str(here.deepchecks_version), f"{here.os_name} {here.os_version}", python, str(here.runtime))
