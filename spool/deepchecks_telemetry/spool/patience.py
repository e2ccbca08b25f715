"""Waiting for a lock of SQLite's: short, jittered, and never past one deadline."""

import os
import sqlite3
import time

from deepchecks_telemetry.spool.errors import Busy
from deepchecks_telemetry.spool.schema import is_busy
from deepchecks_telemetry.spool.tuples import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")

# The back-off between two tries. SQLite's busy handler sleeps 1 to 100 ms: its tail is 5 to 15 times worse.
SHORTEST_S, LONGEST_S = 0.00005, 0.001


def patiently(act: "Callable[[], Result]", deadline: float) -> "Result":
    """Call `act` until no lock stands in its way, or raise `Busy` at `deadline` (of `time.monotonic`)."""
    while True:
        try:
            return act()
        except (sqlite3.OperationalError, Busy) as error:
            if not isinstance(error, Busy) and not is_busy(error):
                raise
            if time.monotonic() >= deadline:
                raise Busy("the spool is locked by another process") from error
        # `random` would cost its import; one byte is jitter enough.
        time.sleep(SHORTEST_S + (LONGEST_S - SHORTEST_S) * os.urandom(1)[0] / 255)
