"""When the next upload is due: pure functions of `now` (Unix seconds, UTC) and the installation's time of day.

A random time of day spreads a million installations over the day. No installation sends automatically before its first
full UTC day has passed, so a machine that exists for a few hours never does.
"""

from collections.abc import Callable

DAY_S = 86_400
FIRST_RETRY_S = 600
MAX_RETRY_AFTER_S = 7 * DAY_S  # no server can make a client wait for longer
CLAIM_S = 3_600  # after this time a process can claim the upload of one that was killed


def phase_s(installation_id: str) -> int:
    """The installation's time of day, in seconds from 0 to 86,399, derived from its random id."""
    return int(installation_id[:8], 16) % DAY_S


def first_due(now: float, installation_id: str) -> int:
    """When the first upload is due: at the installation's time of day, after one full UTC day."""
    return (int(now) // DAY_S + 2) * DAY_S + phase_s(installation_id)


def next_due(now: float, installation_id: str) -> int:
    """When the next upload is due: tomorrow (UTC), at the installation's time of day."""
    return (int(now) // DAY_S + 1) * DAY_S + phase_s(installation_id)


def retry_due(now: float, failures: int, *, draw: Callable[[], float] | None = None) -> int:
    """When to retry: an exponential back-off with full jitter, at most a day; `failures` are those before this one."""
    import random  # 1 ms, needed only after a failure

    draw = draw or random.random
    return int(now) + 60 + int(draw() * min(DAY_S, FIRST_RETRY_S * 2 ** min(failures, 10)))


def is_sane(due: int, now: float) -> bool:
    """Whether a stored due time is possible; otherwise a clock that was ahead would stop the uploads for good."""
    return due <= now + 8 * DAY_S
