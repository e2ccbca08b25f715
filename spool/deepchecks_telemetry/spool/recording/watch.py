"""What may have changed since the last look: the settings, the file, the day, the size of the WAL."""

import enum
import os
import time
from collections.abc import Callable

from deepchecks_telemetry.spool.db.busy import sleep
from deepchecks_telemetry.spool.errors import Busy, raise_if_hosts
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.quarantine import LEASE_S
from deepchecks_telemetry.spool.files.regular import file_id

FIRST_DAY = 20_454  # 2026-01-01: this package did not exist before
WAL_HIGH_WATER_BYTES = 2 * 2**20  # the process that should checkpoint is held up by a slow disk, a reader, or loops
WAL_LIMIT_BYTES = 16 * 2**20  # a reader that never ends keeps the WAL from being cut: nothing is recorded beyond this
THROTTLE_S = 0.005  # between two records above the high-water mark


def today(clock: Callable[[], float] = time.time) -> int:
    """The UTC day, counted from 1970-01-01; nothing finer is ever stored of an event.

    A clock that was never set, or whose battery is empty, says 1970: receivers refuse days older than ten years.
    """
    return max(FIRST_DAY, int(clock() // 86400))


class Change(enum.Enum):
    """What a look found."""

    NONE = enum.auto()
    SETTINGS = enum.auto()
    FILE = enum.auto()


class Watch:
    """Looks every `LEASE_S` at the most: two `stat` calls for each event would cost 3 of 10 µs."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._settings = self._read_settings()
        self.next_check = 0.0  # of `monotonic`
        self.day = 0

    def check(self, now: float, file: tuple[int, int] | None) -> Change:
        """What has changed; `file` is the one that the session has open, None without a session."""
        self.next_check = now + LEASE_S
        self.day = today()
        settings = self._read_settings()
        if settings != self._settings:
            self._settings = settings
            return Change.SETTINGS
        return Change.NONE if file is None or file_id(self._home.spool) == file else Change.FILE

    def throttle(self) -> bool:
        """Slow the host down where the WAL is large; True then. Raise `Busy` where it is at its limit."""
        size = _size(self._home.spool + "-wal")
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
    """What tells one state of a file from another."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise_if_hosts(error)
        return (error.errno or 0,)
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError as error:
        raise_if_hosts(error)
        return 0
