"""The report of a collector as text: short, with the last periods and the most frequent values, or complete."""

from collections.abc import Iterator, Mapping, Sequence

from deepchecks_telemetry.cli.output import count_text, format_table, number_text, wrap_line
from deepchecks_telemetry.collector import Report, wording

PERIODS, MONTHS, VALUES = 6, 3, 4  # of each table in the short form


def as_text(report: Report, *, long: bool) -> str:
    """The report; its parts are separated by empty lines."""
    return "\n\n".join(_parts(report, long=long))


def _parts(report: Report, *, long: bool) -> Iterator[str]:
    yield wrap_line(f"{wording.heading(report)}. Made {report.made}. {' '.join(wording.notes(report))}")
    if report.since is None:
        return
    yield from _activity(report, long=long)
    yield from _adoption(report, long=long)
    yield from _retention(report, long=long)
    yield wrap_line(f"From {report.recent} to {report.until}: {_total(report)}{_funnel(report.funnel)}.")
    yield from _tables(report) if long else [_summary(report)]
    yield wrap_line(wording.folded(report) if long else f"{wording.folded(report)} The complete report: --long")


def _activity(report: Report, *, long: bool) -> Iterator[str]:
    for kind, periods in report.activity.items():
        last = MONTHS if kind == "month" else PERIODS
        rows = [(period, *("" if number is None else number for number in one)) for period, one in periods.items()]
        if rows:
            yield format_table((f"{kind} from", "active", "new", "returned", "lost"), rows if long else rows[-last:])


def _adoption(report: Report, *, long: bool) -> Iterator[str]:
    active = report.activity[report.options.by]
    periods = list(report.adoption)[0 if long else -PERIODS :]
    versions = wording.versions_by_use(report, periods)[: None if long else VALUES]
    if versions:
        rows = [
            (
                period,
                *(wording.percent(report.adoption[period].get(name, 0), active[period].active) for name in versions),
            )
            for period in periods
        ]
        yield _titled("Last version of each active installation, in %", (f"{report.options.by} from", *versions), rows)


def _retention(report: Report, *, long: bool) -> Iterator[str]:
    cohorts = report.retention if long else wording.last_cohorts(report, PERIODS + 1)
    width = max(map(len, cohorts.values()), default=0)
    if width > 1:
        rows = [
            (
                first,
                numbers[0],
                *(wording.percent(number, numbers[0]) for number in numbers[1:]),
                *_empty(numbers, width),
            )
            for first, numbers in cohorts.items()
        ]
        heads = ("first active", "number", *(f"+{later}" for later in range(1, width)))
        yield _titled(f"Active again after this many {report.options.by}s, in %", heads, rows)


def _empty(numbers: list[int], width: int) -> list[str]:
    return [""] * (width - len(numbers))


def _titled(title: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return f"{wrap_line(title)}\n{format_table(heads, rows)}"


def _total(report: Report) -> str:
    total = report.recent_total
    events = "" if total.events is None else f", {count_text(total.events, 'event')} in {count_text(total.rows, 'row')}"
    return f"{count_text(total.installations, 'installation')}{events}"


def _funnel(funnel: Mapping[str, int]) -> str:
    first = next(iter(funnel.values()), 0)
    steps = [f"{number_text(number)} {step} ({wording.percent(number, first)} %)" for step, number in funnel.items()]
    return f"; {', '.join(steps)}" if steps else ""


def _summary(report: Report) -> str:
    """A line for each field, with its most frequent values."""
    rows = []
    for name, title in wording.TITLES.items():
        cells = list(report.by[name].items())
        values = [f"{value} {_share(report, cell.installations)}" for value, cell in cells[:VALUES]]
        more = [f"{len(cells) - VALUES} more"] if len(cells) > VALUES else []
        rows.append((title, ", ".join([*values, *more])))
    return format_table(("field", "share of the installations, which can have several values"), rows)


def _share(report: Report, installations: int) -> str:
    return f"{wording.percent(installations, report.recent_total.installations)} %"


def _tables(report: Report) -> Iterator[str]:
    for name, title in wording.TITLES.items():
        rows = [
            (value, cell.installations, _share(report, cell.installations), "" if cell.events is None else cell.events)
            for value, cell in report.by[name].items()
        ]
        if rows:
            yield format_table((title, "installations", "share", "events"), rows)
    for (one, two), table in report.pairs.items():
        if table and report.by[two]:
            heads = (f"{wording.TITLES[one]}, installations by {wording.TITLES[two]}", *report.by[two])
            yield format_table(heads, [(value, *others.values()) for value, others in table.items()])
