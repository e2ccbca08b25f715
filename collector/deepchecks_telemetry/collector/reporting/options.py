"""What a report is about: a range of days, the length of its periods, a filter, and the minimum of installations."""

from datetime import date
from typing import NamedTuple

from deepchecks_telemetry.collector.errors import ReportError
from deepchecks_telemetry.collector.reporting.rounding import MIN_CELL
from deepchecks_telemetry.spool.catalogue import EVENT_NUMBERS

BY = ("day", "week", "month")
YEARS = range(2, 9999)  # so that the periods before and after a day begin on days that Python has a date for


class Options(NamedTuple):
    """Days are inclusive, None is open; `since` and `until` are extended to whole periods of `by`."""

    since: date | None = None
    until: date | None = None
    by: str = "week"
    event: str | None = None
    version: str | None = None
    min_cell: int = 1

    @property
    def filtered(self) -> bool:
        """Whether some rows are left out because of their values."""
        return self.event is not None or self.version is not None

    @property
    def whole(self) -> bool:
        """Whether all rows of the store are counted."""
        return not (self.filtered or self.since or self.until)


def check(options: Options) -> None:
    """Raise `ReportError` for options of which no report can be made."""
    if options.min_cell != 1 and (options.min_cell < 1 or options.min_cell % MIN_CELL):
        problem = f"The minimum of installations is {options.min_cell}, but must be 1 or a multiple of {MIN_CELL}"
        raise ReportError(f"{problem}: with others, small counts follow from the difference between two reports.")
    for day in (options.since, options.until):
        if day and day.year not in YEARS:
            raise ReportError(f"The day {day} is not in the years {YEARS[0]} to {YEARS[-1]}.")
    if options.since and options.until and options.since > options.until:
        raise ReportError(f"The range begins on {options.since} and ends before, on {options.until}. Exchange them.")
    if options.by not in BY:
        raise ReportError(f'There are no periods by "{options.by}". Use one of {", ".join(BY)}.')
    if options.event is not None and options.event not in EVENT_NUMBERS:
        raise ReportError(f'There is no event "{options.event}". Use one of {", ".join(EVENT_NUMBERS)}.')
