"""The guard lets one thread at a time use the host's connection, and none during a fork; no exception leaves it locked.

A signal handler may raise between any two instructions, also between taking a lock and the `try` that releases it. So
a lock that stays taken is checked: if no frame of its owner runs a function in `holders`, it is replaced.
"""

import re
import sys
from _thread import RLock
from collections.abc import Callable, Iterator
from types import CodeType, FrameType

SLICES, SLICE_S = 10, 0.01  # number of waits before giving up, and the length of one; it is checked after each
OWNER = r"owner=(\d+)"


class Guard:
    """A lock that its own thread never waits for, that no thread waits for long, and that survives an exception.

    `on_leak` is called, with the new lock held, if an exception had left the old one locked. The lock is
    `_thread.RLock` because it stores its owner in the same step in which it is taken.
    """

    def __init__(self, on_leak: Callable[[], None]) -> None:
        self.lock = RLock()
        self.holders: set[CodeType] = set()  # the functions that take the lock; it is held while one of them runs
        self.forking = False
        self._on_leak = on_leak

    def take(self) -> RLock | None:
        """The lock, to be released by the caller; None after some 100 ms, or inside a function that holds it."""
        if self.lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001 - threading.Condition relies on it too
            if self._is_held_in(_stack(sys._getframe(2))):  # noqa: SLF001 - above the caller, which holds nothing yet
                return None
            return self._replace()
        lock = self.lock
        return lock if lock.acquire(blocking=False) else self._wait()

    def _wait(self) -> RLock | None:
        for _ in range(SLICES):
            lock = self.lock
            if lock.acquire(timeout=SLICE_S):
                if lock is self.lock:
                    return lock
                lock.release()  # replaced meanwhile
            elif self._is_leaked(lock):
                return self._replace()
        return None

    def _replace(self) -> RLock:
        lock = self.lock = RLock()
        lock.acquire()
        self._on_leak()
        return lock

    def _is_leaked(self, lock: RLock) -> bool:
        owner = re.search(OWNER, repr(lock))
        if owner is None or self.forking or lock is not self.lock or not _has_gil():
            return False
        frame = sys._current_frames().get(int(owner[1]))  # noqa: SLF001
        return int(owner[1]) != 0 and not self._is_held_in(_stack(frame))

    def _is_held_in(self, frames: Iterator[FrameType]) -> bool:
        return any(frame.f_code in self.holders for frame in frames)

    def reset(self) -> None:
        """Use a new lock, in a forked child."""
        self.lock, self.forking = RLock(), False


def _has_gil() -> bool:
    """Without it, the owner can release the lock and leave the function between two steps of a check by another thread.

    Then only the thread that left the lock locked replaces it. It is the main one, which executes all signal handlers.
    """
    return getattr(sys, "_is_gil_enabled", lambda: True)()


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
