"""Reads a report from a store: all numbers come from the same snapshot."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

from deepchecks_telemetry.collector.reporting.composition import Composition, read_composition
from deepchecks_telemetry.collector.reporting.groups import Progress, Source, no_progress
from deepchecks_telemetry.collector.reporting.history import Activity, History, periods, read_histories
from deepchecks_telemetry.collector.reporting.options import Options, check
from deepchecks_telemetry.collector.reporting.rounding import Cell, rounded, rounded_cell, without_small
from deepchecks_telemetry.collector.store import reading
from deepchecks_telemetry.collector.tables.periods import date_of, following, number_of, start_of

RECENT_DAYS = 28  # what a report without --since counts by field
DAYS_BY_DAY = 31  # the range of a report by day without --since
_MEASURES = ", ".join(f"CAST({measure} AS INTEGER)" for measure in Cell._fields)
_TOTAL = f"SELECT {_MEASURES} FROM cells WHERE field = 'total'"  # noqa: S608 — constants


class Span(NamedTuple):
    """The first and last day of a report, as numbers; the fields are counted from the day `recent` on."""

    first: int
    last: int
    recent: int


class Report(NamedTuple):
    """The numbers; periods are texts such as 2026-11-23. Where too little was counted, `since` is None.

    `activity` is by day, week and month; `adoption` by period and version; `retention` has for each first period a
    number for each period since then. The counts by field are those from `recent` on.
    """

    options: Options
    made: date
    since: date | None
    until: date | None
    recent: date | None
    total: Cell
    activity: dict[str, dict[str, Activity]]
    adoption: dict[str, dict[str, int]]
    retention: dict[str, list[int]]
    by: dict[str, dict[str, Cell]]
    pairs: dict[tuple[str, str], dict[str, dict[str, int]]]
    funnel: dict[str, int]
    folded: dict[str, int]
    recent_total: Cell

    @property
    def rows(self) -> int:
        """The number of rows that were counted, or 0 in a report with a minimum."""
        return self.total.rows or 0

    def as_dict(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        days = {name: str(value) if value else None for name, value in self._asdict().items() if name in _DAYS}
        return {
            **days,
            **{name: getattr(self.options, name) for name in ("by", "event", "version", "min_cell")},
            **self.total._asdict(),
            "active": {
                kind: {period: one._asdict() for period, one in periods.items()}
                for kind, periods in self.activity.items()
            },
            "adoption": self.adoption,
            "retention": self.retention,
            "funnel": self.funnel,
            "recent_total": self.recent_total._asdict(),
            "fields": {
                name: {value: cell._asdict() for value, cell in cells.items()} for name, cells in self.by.items()
            },
            "pairs": {" x ".join(pair): cells for pair, cells in self.pairs.items()},
            "folded": self.folded,
        }


_DAYS = ("made", "since", "until", "recent")


def report(
    store: Path, options: Options | None = None, *, today: date | None = None, progress: Progress = no_progress
) -> Report:
    """Read the report, also while a collector writes to the store; raises `ReportError` for wrong options.

    Where groups of rows are read, `progress` is called with the number of rows, and what it yields with how many of
    them were read.
    """
    options, made = options or Options(), today or datetime.now(timezone.utc).date()
    check(options)
    if options.by == "day" and options.since is None:
        options = options._replace(since=(options.until or made) - timedelta(days=DAYS_BY_DAY - 1))
    with reading(store) as connection:
        source = Source(connection, options, progress)
        histories = read_histories(source, dict.fromkeys((options.by, "week", "month")))
        span = _span(histories[options.by], options, number_of(made))
        if span is None:
            nothing = rounded_cell(Cell(), options.min_cell)
            return Report(options, made, None, None, None, nothing, {}, {}, {}, {}, {}, {}, {}, nothing)
        return _report(source, made, span, histories)


def _report(source: Source, made: date, span: Span, histories: dict[str, History]) -> Report:
    composition, options = read_composition(source, span.recent, span.last), source.options
    today = number_of(made)
    return Report(
        options,
        made,
        date_of(span.first),
        min(date_of(span.last), made),
        date_of(span.recent),
        _total(source, composition),
        {kind: _activity(kind, one, options, span, today) for kind, one in histories.items()},
        _adoption(histories[options.by], options, span),
        _retention(histories[options.by], options, min(span.last, today), span.first),
        *composition[1:],
        composition.total,
    )


def _span(history: History, options: Options, today: int) -> Span | None:
    """The whole periods of the range, by default those with enough installations; None if there are none."""
    by, least = options.by, options.min_cell
    shown = [period for period, counts in history.activity.items() if rounded(counts.active, least)]
    first = start_of(by, number_of(options.since)) if options.since else min(shown, default=0)
    last = following(by, start_of(by, number_of(options.until) if options.until else max(shown, default=0))) - 1
    if not any(first <= period <= last for period in shown):
        return None
    recent = first if options.since else max(first, min(last, today) - RECENT_DAYS + 1)
    return Span(first, last, recent)


def _total(source: Source, composition: Composition) -> Cell:
    if not source.options.whole:
        return composition.total
    return rounded_cell(Cell(*(source.connection.execute(_TOTAL).fetchone() or ())), source.options.min_cell)


def _activity(kind: str, history: History, options: Options, span: Span, today: int) -> dict[str, Activity]:
    least = options.min_cell
    result = {}
    for period in _periods(kind, options, span):
        one = history.activity.get(period, Activity())
        ended = following(kind, period) <= today
        lost = rounded(one.lost, least) if ended and one.lost is not None else None
        active, new, returned = (rounded(number, least) for number in one[:3])
        result[_text(period)] = Activity(active, new, returned, lost)
    return result


def _periods(kind: str, options: Options, span: Span) -> Iterator[int]:
    """The periods of a kind within the range; where the range is open, also one that is partly in it."""
    start = start_of(kind, span.first)
    first = following(kind, start) if options.since and start < span.first else start
    for period in periods(kind, first, span.last):
        if not options.until or following(kind, period) - 1 <= span.last:
            yield period


def _adoption(history: History, options: Options, span: Span) -> dict[str, dict[str, int]]:
    chosen, versions = periods(options.by, span.first, span.last), history.adoption
    return {_text(period): without_small(versions.get(period, {}), options.min_cell) for period in chosen}


def _retention(history: History, options: Options, last: int, first: int) -> dict[str, list[int]]:
    """The cohorts of the range, with a number for each period that has begun."""
    least = options.min_cell
    chosen = {start: cohort for start, cohort in sorted(history.retention.items()) if first <= start <= last}
    lists = {
        _text(start): [rounded(cohort.get(period, 0), least) for period in periods(options.by, start, last)]
        for start, cohort in chosen.items()
    }
    return {start: numbers for start, numbers in lists.items() if numbers[0]}


def _text(day: int) -> str:
    return date_of(day).isoformat()
