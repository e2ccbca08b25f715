"""Counts the recorded events by state, lists the unsent ones, and checks that the sums agree."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deepchecks_telemetry.spool.catalogue import EVENT_NAMES, Environment
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.recovery.maintenance import read_maintained
from deepchecks_telemetry.spool.states import UNSETTLED, BatchState, in_states


@dataclass(frozen=True, slots=True)
class Accounts:
    """Counts of events by state; `rows` is the number of rows that `read_unsent` returns."""

    recorded: int = 0
    pending: int = 0
    sealed: int = 0
    parked: int = 0
    delivered: int = 0
    exported: int = 0
    rejected: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    batches: int = 0
    installation_id: str | None = None

    @property
    def balance(self) -> int:
        """Recorded events minus those in a state: 0 unless events were lost (positive) or counted twice (negative)."""
        accounted = self.pending + self.sealed + self.parked + self.delivered + self.exported + self.rejected
        return self.recorded - accounted - sum(self.dropped.values())


@dataclass(frozen=True, slots=True)
class EventCount:
    """How often an event happened on one UTC day in one environment, and the state of these events."""

    day: int
    event: str
    environment: Environment
    count: int
    state: str


DROP_REASONS = {
    "busy": "another process held the spool",
    "failed": "the spool could not be written",
    "unknown": "not in the catalogue, so the spool was edited",
    "damage": "could not be read from a damaged spool",
    "copied": "the spool is a copy (an image, a clone, a backup), and its original sends them",
    "unsettled": "exported, and no receipt was settled before the limit of unsettled exports was reached",
}


def explain_dropped(dropped: Mapping[str, int]) -> str:
    """How many events were dropped for each reason, and what the reason means."""
    explained = ((reason, count, DROP_REASONS.get(reason)) for reason, count in sorted(dropped.items()))
    return "; ".join(f"{count:,} {reason}" + (f" ({why})" if why else "") for reason, count, why in explained)


_TO_SEND = in_states(BatchState.SEALED, BatchState.PARKED)
_UNSENT = f"""
SELECT day, event, deepchecks_version, os_type, os_name, os_version, python_name, python_version, runtime,
  sum(count), state FROM (
    SELECT day, event, environment, count(*) AS count, '{BatchState.PENDING}' AS state FROM events WHERE event > 0
      GROUP BY 1, 2, 3
    UNION ALL SELECT day, event, environment, count, '{BatchState.PENDING}' FROM folded
    UNION ALL SELECT day, event, environment, count, state FROM rows JOIN batches ON batches.id = batch
      WHERE state IN {_TO_SEND}
  ) JOIN environments ON environments.id = environment GROUP BY day, event, environment, state ORDER BY 1, 2, 3
"""  # noqa: S608
_SUM = {
    # The largest id is a count that no later step changes. Events that could not be stored have no id, and neither have
    # those that an earlier, damaged spool had recorded.
    "recorded": "coalesce((SELECT max(id) FROM events), 0) + coalesce((SELECT sum(count) FROM tallies "
    "WHERE name IN ('dropped:busy', 'dropped:failed', 'recovered')), 0)",
    "pending": "(SELECT count(*) FROM events WHERE event > 0) + coalesce((SELECT sum(count) FROM folded), 0)",
    **{
        state.value: f"coalesce((SELECT sum(events) FROM batches WHERE state = '{state}'), 0)"  # noqa: S608
        for state in UNSETTLED
    },
    "delivered": "coalesce((SELECT count FROM tallies WHERE name = 'delivered'), 0)",
    "rejected": "coalesce((SELECT count FROM tallies WHERE name = 'rejected'), 0)",
    "rows": f"(SELECT count(*) FROM ({_UNSENT}))",  # noqa: S608
    "installation_id": "installation",
    "batches": f"(SELECT count(*) FROM batches WHERE state IN {in_states(*UNSETTLED)})",  # noqa: S608
}


def read_accounts(home: Home) -> Accounts:
    """The counts at one moment; all zero if there is no spool."""
    return read_maintained(home, query_accounts, Accounts())


def query_accounts(connection: sqlite3.Connection) -> Accounts:
    """The counts, read through an open connection."""
    sums = connection.execute(f"SELECT {', '.join(_SUM.values())} FROM spool").fetchone()  # noqa: S608
    dropped = connection.execute("SELECT substr(name, 9), count FROM tallies WHERE name LIKE 'dropped:%'").fetchall()
    return Accounts(**dict(zip(_SUM, sums, strict=True)), dropped=dict(dropped))


def read_unsent(home: Home) -> list[EventCount]:
    """The unsent events, oldest day first; empty if there is no spool."""
    rows: list[tuple[Any, ...]] = read_maintained(home, lambda connection: connection.execute(_UNSENT).fetchall(), [])
    return [
        EventCount(day, EVENT_NAMES.get(event, "unknown"), Environment(*environment), count, state)
        for day, event, *environment, count, state in rows
    ]
