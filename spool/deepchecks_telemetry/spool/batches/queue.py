"""What an upload would find: how many events are in which state, and the moments that decide when it is tried.

Read with the connection that is already open, also in the host, so nothing heavy is imported here.
"""

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from deepchecks_telemetry.spool.db.schema import UNSETTLED, BatchState, in_states

DAY_S = 86_400
PARKED_RETRY_S = 7 * DAY_S  # after it a parked batch is tried again: the receiver's settings may have been corrected
MAX_PARKED = 8  # past them nothing more is sealed and counts go on being folded: years of 403 stay within bounds
DAMAGED = "its bytes were changed"  # why a batch is parked that will never be sent: no try can change that
DAYS_AHEAD = 2  # a day that is further ahead than this cannot be waited for: the clock was wrong

BATCHES = ("parked_batches", "damaged_batches", "parked_lately")
Execute = Callable[[str, tuple[object, ...]], sqlite3.Cursor]


class Queue(NamedTuple):
    """Events by state, and the moments (Unix seconds) that the spool keeps; all zero for a spool that was never used.

    `future` events are dated on a day that has not come: they are part of no batch yet. `damaged` batches are parked
    ones whose bytes were changed; `parked_lately` counts those that were tried less than `PARKED_RETRY_S` ago.
    """

    pending: int = 0
    future: int = 0
    sealed: int = 0
    parked: int = 0
    exported: int = 0
    parked_batches: int = 0
    damaged_batches: int = 0
    parked_lately: int = 0
    last_parked_try: int | None = None
    fence_closed: bool = False
    next_upload: int | None = None
    attached_endpoint: str | None = None
    retry_after: Mapping[str, int] = {}


def read_queue(execute: Execute, now: float) -> Queue:
    """The queue at the moment `now` (Unix seconds)."""
    epoch, due, endpoint = execute("SELECT epoch, next_upload, endpoint FROM spool", ()).fetchone()
    return Queue(
        *_read_counts(execute, int(now // DAY_S)),
        **_read_batches(execute, now),
        fence_closed=bool(epoch % 2),
        next_upload=_integer(due),
        attached_endpoint=endpoint if isinstance(endpoint, str) else None,
        retry_after=_read_retry_after(execute),
    )


def is_future(day: int, today: int) -> bool:
    """Whether a count of `day` is held back: the receiver would refuse it until that day has come."""
    return today < day <= today + DAYS_AHEAD


def _read_counts(execute: Execute, today: int) -> tuple[int, int]:
    counts = execute(
        "SELECT day, count(*) FROM events WHERE event > 0 GROUP BY day UNION ALL "
        "SELECT day, sum(count) FROM folded GROUP BY day",
        (),
    )
    pending = future = 0
    for day, count in counts:
        held = isinstance(day, int) and is_future(day, today)
        pending, future = pending + (not held) * count, future + held * count
    return pending, future


def _read_batches(execute: Execute, now: float) -> dict[str, Any]:
    found: dict[str, Any] = dict.fromkeys((*UNSETTLED, *BATCHES), 0)
    last = None
    query = "SELECT state, coalesce(outcome, '') = ?, events, tried_at FROM batches "
    query += f"WHERE state IN {in_states(*UNSETTLED)}"
    for state, broken, events, tried_at in execute(query, (DAMAGED,)):
        found[state] += events
        if state == BatchState.PARKED:
            found["parked_batches"] += 1
            found["damaged_batches"] += broken
            if not broken:
                found["parked_lately"] += not is_stale(_integer(tried_at), now)
                last = max(last or 0, _integer(tried_at) or 0)
    return found | {"last_parked_try": last}


def is_stale(tried_at: int | None, now: float) -> bool:
    """Whether a try is a week ago, or at a moment that a clock has jumped back from."""
    return tried_at is None or not now - PARKED_RETRY_S < tried_at <= now + DAY_S


def _read_retry_after(execute: Execute) -> dict[str, int]:
    try:
        found = execute("SELECT host, until FROM retry_after", ()).fetchall()
    except sqlite3.OperationalError:  # a spool of an older version, which a host does not migrate
        return {}
    return {host: until for host, until in found if isinstance(host, str) and isinstance(until, int)}


def _integer(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None
