"""A host whose clock is stopped, as in a test suite that uses freezegun or time-machine.

    python -m ... freezegun|time-machine first|later TIMES

`first` freezes before our import, `later` after the first record.
"""

import datetime as dt
from importlib import import_module
from typing import Any

from tests.campaigns.hosts.program import Journal, Stopwatch, run_host

MOMENT = dt.datetime(2031, 5, 17, 12, tzinfo=dt.timezone.utc)


def main(journal: Journal, how: str, order: str, times: str) -> None:
    """Freeze, record, and go on with a clock that runs."""
    if order == "later":
        journal.record(1)
    library = import_module("freezegun" if how == "freezegun" else "time_machine")
    watch = Stopwatch()
    with freeze(library, how):
        stored = journal.record(int(times))
    journal.count("waited_ms", watch.ms())
    journal.count("stored", stored)


def freeze(library: Any, how: str) -> Any:
    """Stop the clock, which both libraries undo at the end of the block."""
    return library.freeze_time(MOMENT) if how == "freezegun" else library.travel(MOMENT, tick=False)


if __name__ == "__main__":
    run_host(main)
