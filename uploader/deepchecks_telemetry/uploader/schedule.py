"""When to try: pure functions over `now` (Unix seconds, UTC) and the installation's own moment of the day.

A random moment spreads a million installations over the day; nobody sends before the first full UTC day has passed, so
a machine that is born and dies within hours never sends by itself.
"""

from collections.abc import Callable

DAY_S = 86_400
FIRST_RETRY_S = 600
LONGEST_RETRY_AFTER_S = 7 * DAY_S  # no server may silence a client for longer
CLAIM_S = 3_600  # a child that was claimed and died is followed by another after this time


def phase_s(installation_id: str) -> int:
    """The installation's moment of the day, 0 to 86,399; as random as its id, and new with it."""
    return int(installation_id[:8], 16) % DAY_S


def first_due(now: float, installation_id: str) -> int:
    """After the first full UTC day."""
    return (int(now) // DAY_S + 2) * DAY_S + phase_s(installation_id)


def next_due(now: float, installation_id: str) -> int:
    """Tomorrow, at the installation's moment."""
    return (int(now) // DAY_S + 1) * DAY_S + phase_s(installation_id)


def draw() -> float:
    """A random number from 0 to 1."""
    import random  # 1 ms, and only after a failure

    return random.random()  # noqa: S311 - it spreads the load


def retry_due(now: float, failures: int, *, draw: Callable[[], float] = draw) -> int:
    """After an exponential back-off with full jitter, at most a day; `failures` counts those before this one."""
    return int(now) + 60 + int(draw() * min(DAY_S, FIRST_RETRY_S * 2 ** min(failures, 10)))


def is_sane(due: int, now: float) -> bool:
    """Whether a stored moment can be ours: a clock that jumped back must not silence an installation for ever."""
    return due <= now + 8 * DAY_S
