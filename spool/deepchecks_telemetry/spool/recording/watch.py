"""Detects within `LEASE_S` that the settings, the spool's file, the day or the size of the WAL have changed."""

import os
import time
from collections.abc import Callable

from deepchecks_telemetry.spool.db.busy import sleep
from deepchecks_telemetry.spool.db.compaction import wal_bytes
from deepchecks_telemetry.spool.errors import Busy, raise_if_hosts
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.quarantine import LEASE_S
from deepchecks_telemetry.spool.files.regular import file_id

FIRST_DAY = 20_454  # 2026-01-01; this package did not exist before
WAL_HIGH_WATER_BYTES = 3 * 2**20  # a slow disk, a reader or writers in loops delay the process that should checkpoint
WAL_LIMIT_BYTES = 16 * 2**20  # nothing is recorded beyond this; a reader that never ends keeps the WAL from shrinking
THROTTLE_S = 0.005  # between two records above the high-water mark

NOTHING, SETTINGS, FILE = "nothing", "settings", "file"  # what a check found


def today(clock: Callable[[], float] = time.time) -> int:
    """The UTC day, counted from 1970-01-01; the time of an event is stored no more precisely than this.

    Not before `FIRST_DAY`: a clock that was never set shows 1970, and receivers refuse days older than ten years.
    """
    return max(FIRST_DAY, int(clock() // 86400))


class Watch:
    """Checks at most every `LEASE_S`, because two `stat` calls for each event would cost 3 of 10 µs."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._settings = self._read_settings()
        self.next_check = 0.0  # of `monotonic`
        self.day = 0

    def check(self, now: float, file: tuple[int, int] | None) -> str:
        """What has changed; `file` is the open file of the session, None without a session."""
        self.next_check = now + LEASE_S
        self.day = today()
        settings = self._read_settings()
        if settings != self._settings:
            self._settings = settings
            return SETTINGS
        return NOTHING if file is None or file_id(self._home.spool) == file else FILE

    def throttle(self) -> bool:
        """Slow the host down if the WAL is large, and return True; raise `Busy` if it is beyond its limit."""
        size = wal_bytes(self._home)
        if size > WAL_LIMIT_BYTES:
            raise Busy("a reader prevents the spool's WAL from being truncated")
        if size > WAL_HIGH_WATER_BYTES:
            self.next_check = 0.0
            sleep(THROTTLE_S)
            return True
        return False

    def _read_settings(self) -> tuple[object, ...]:
        return tuple(map(_stamp, self._home.watched))


def _stamp(path: str) -> tuple[int, ...]:
    """A value that differs between two states of a file."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise_if_hosts(error)
        return (error.errno or 0,)
    return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
