"""The sentences, percentages and orders that the text and the page have in common."""

from collections.abc import Iterator, Sequence

from deepchecks_telemetry.collector.reporting.query import Report

TITLES = {
    "event": "Event",
    "version": "deepchecks",
    "os": "System",
    "python": "Python",
    "runtime": "Runtime",
    "lateness": "Received after",
}
SELF_SELECTED = (
    "Only installations that send their counts here are counted. They are not a sample of all users: compare shares "
    "and trends, but do not conclude how many users there are."
)
SEVERAL_VALUES = (
    "In the tables of fields, an installation is counted for each value that it had, such as two versions of "
    "deepchecks, so shares can add up to more than 100 %."
)
NOT_COLLECTED = "Names of checks and their results are not collected."


def heading(report: Report) -> str:
    """The range and the filter."""
    filters = "".join(f", only {name} {value}" for name, value in chosen(report))
    if report.since is None:
        least = report.options.min_cell
        nothing = f"fewer than {least} installations: nothing is shown" if least > 1 else "nothing was counted"
        return f"Deepchecks usage{filters}: {nothing}"
    return f"Deepchecks usage, {report.since} to {report.until}{filters}"


def chosen(report: Report) -> Iterator[tuple[str, str]]:
    """The filters of the report."""
    for name in ("event", "version"):
        if value := getattr(report.options, name):
            yield name, value


def notes(report: Report) -> Iterator[str]:
    """What a reader needs for understanding the numbers."""
    yield SELF_SELECTED
    yield NOT_COLLECTED
    yield SEVERAL_VALUES
    if report.options.min_cell > 1:
        least = report.options.min_cell
        yield f"For privacy, installations are rounded down to multiples of {least}; 0 means 0 to {least - 1}."
    if report.since is not None and not _has_ended(report):
        yield f"The last {report.options.by} has not ended, and counts arrive a day late or later."


def folded(report: Report) -> str:
    """What is not shown because few installations have it."""
    if report.options.min_cell == 1:
        return "Nothing is left out for privacy."
    parts = [f"{TITLES[name]} {number:,}" for name, number in report.folded.items() if number]
    few = f"values with fewer than {report.options.min_cell} installations"
    left_out = f"Left out for privacy: {few}, and all numbers of events."
    return f"{left_out} Installations with such values: {', '.join(parts)}." if parts else left_out


def percent(part: int, whole: int) -> str:
    """A share in percent; "<1" is more than nothing."""
    share = 100 * part / whole if whole else 0
    return "<1" if 0 < share < 0.5 else f"{share:.0f}"


def versions_by_use(report: Report, periods: Sequence[str]) -> list[str]:
    """The versions of some periods, those with most installations first, in the last period before the others."""
    counts = [report.adoption[period] for period in reversed(periods)]
    versions = {version for count in counts for version in count}
    return sorted(versions, key=lambda version: ([-count.get(version, 0) for count in counts], version))


def last_cohorts(report: Report, number: int) -> dict[str, list[int]]:
    """The installations by the last periods in which they were new, and how many returned."""
    last = list(report.adoption)[-number:]
    return {first: numbers for first, numbers in report.retention.items() if first in last}


def _has_ended(report: Report) -> bool:
    """Whether the last period is over; the last day is then before the day of the report."""
    return report.until is not None and report.until < report.made
