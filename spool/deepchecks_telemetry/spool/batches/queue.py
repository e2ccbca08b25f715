"""Reads how many events are in which state, and the times that decide when an upload is tried.

The host calls it with its open connection, so nothing heavy is imported here.
"""

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from deepchecks_telemetry.spool.states import UNSETTLED, BatchState, in_states

DAY_S = 86_400
PARKED_RETRY_S = 7 * DAY_S  # then a parked batch is tried again, because the receiver may have been corrected
MAX_PARKED = 8  # then nothing more is sealed, only folded, so that years of responses with 403 stay within bounds
DAMAGED = "its bytes were changed"  # the reason of a parked batch that is never tried again
DAYS_AHEAD = 2  # counts of these days wait until the day has come; of a later day the clock was wrong

BATCHES = ("parked_batches", "damaged_batches", "parked_lately")
Execute = Callable[[str, tuple[object, ...]], sqlite3.Cursor]


class Queue(NamedTuple):
    """Events by state, and the times (Unix seconds) that the spool stores; all zero for an unused spool.

    `future` events have a day that has not come yet, so they are not sealed. `damaged_batches` are parked batches whose
    bytes were changed; `parked_lately` are parked batches that were tried less than `PARKED_RETRY_S` ago.
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
    """The queue at the time `now` (Unix seconds)."""
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
    """Whether a count of `day` is held back, because the receiver would reject it until that day has come."""
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
    counts: dict[str, Any] = dict.fromkeys((*UNSETTLED, *BATCHES), 0)
    last = None
    query = "SELECT state, coalesce(outcome, '') = ?, events, tried_at FROM batches "
    query += f"WHERE state IN {in_states(*UNSETTLED)}"
    for state, broken, events, tried_at in execute(query, (DAMAGED,)):
        counts[state] += events
        if state == BatchState.PARKED:
            counts["parked_batches"] += 1
            counts["damaged_batches"] += broken
            if not broken:
                counts["parked_lately"] += not is_stale(_integer(tried_at), now)
                last = max(last or 0, _integer(tried_at) or 0)
    return counts | {"last_parked_try": last}


def is_stale(tried_at: int | None, now: float) -> bool:
    """Whether a try is at least `PARKED_RETRY_S` ago, or in the future because the clock was set back."""
    return tried_at is None or not now - PARKED_RETRY_S < tried_at <= now + DAY_S


def _read_retry_after(execute: Execute) -> dict[str, int]:
    try:
        rows = execute("SELECT host, until FROM retry_after", ()).fetchall()
    except sqlite3.OperationalError:  # a spool of an older version, which a host does not migrate
        return {}
    return {host: until for host, until in rows if isinstance(host, str) and isinstance(until, int)}


def _integer(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None
