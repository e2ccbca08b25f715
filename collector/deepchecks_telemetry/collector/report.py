"""A report counts what a store holds at one moment: each number comes from the same snapshot."""

import sqlite3
from pathlib import Path
from typing import NamedTuple

from deepchecks_telemetry.collector.store import reading


class Report(NamedTuple):
    """Totals, and the number of events by what the catalogue knows; each mapping adds up to `events`."""

    events: int
    rows: int
    installations: int
    by_event: dict[str, int]
    by_day: dict[str, int]
    by_version: dict[str, int]
    by_os: dict[str, int]
    by_python: dict[str, int]
    by_runtime: dict[str, int]

    def as_dict(self) -> dict[str, int | dict[str, int]]:
        """Give the shape of `--json`."""
        return self._asdict()


def report(store: Path) -> Report:
    """Count a store's rows, also while a collector writes to it."""
    with reading(store) as connection:
        events, rows, installations = connection.execute(
            "SELECT coalesce(sum(count), 0), count(*), count(DISTINCT installation_id) FROM rows"
        ).fetchone()
        return Report(
            events=events,
            rows=rows,
            installations=installations,
            by_event=_events_by(connection, "event"),
            by_day=dict(sorted(_events_by(connection, "day").items())),
            by_version=_events_by(connection, "deepchecks_version"),
            by_os=_events_by(connection, "os_name"),
            by_python=_events_by(connection, "python_version"),
            by_runtime=_events_by(connection, "runtime"),
        )


def _events_by(connection: sqlite3.Connection, column: str) -> dict[str, int]:
    """Count the events of each value of the column, the most frequent first."""
    query = f"SELECT {column}, sum(count) FROM rows GROUP BY 1 ORDER BY 2 DESC, 1"  # noqa: S608 — our own names
    return dict(connection.execute(query).fetchall())
