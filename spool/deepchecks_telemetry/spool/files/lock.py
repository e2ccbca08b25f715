"""The file lock around changes to the spool's files, shared by all virtual environments of a user.

It avoids duplicate work. Correctness comes from SQLite's transactions: nothing done under this lock may be wrong
without it. Commands and the uploader take it through filelock. The host takes the same lock (`flock` on the same file,
on Windows one byte at offset 0) by itself, because filelock from 3.30 on installs an audit hook and fork hooks that
raise in a host that forks in several threads.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from deepchecks_telemetry.spool.errors import Busy, Unusable, raise_if_hosts
from deepchecks_telemetry.spool.files.regular import exists, is_lockable, status_of

POLL_S = 0.005
HELD = "another process holds the spool's lock"


@contextmanager
def hold(path: str, timeout_s: float) -> Iterator[None]:
    """Hold the lock file at `path`, or raise `Busy` after `timeout_s`; its directory must exist."""
    from filelock import FileLock, Timeout

    _check(path)
    # A soft lock is a file that a crash leaves behind for ever, so where no native lock works there is no lock.
    lock = FileLock(path, mode=0o600, thread_local=False, fallback_to_soft=False, poll_interval=POLL_S)
    try:
        lock.acquire(timeout=timeout_s)
    except Timeout:
        raise Busy(HELD) from None
    except (OSError, NotImplementedError) as error:
        raise Unusable(f"the lock file cannot be used ({type(error).__name__})") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def hold_in_host(path: str) -> Iterator[None]:
    """Hold the same lock in the host, or raise `Busy` without waiting; the caller waits and tries again."""
    _check(path)
    descriptor = -1
    try:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
            if os.fstat(descriptor).st_mode & 0o600 != 0o600:  # a umask of 0777
                os.chmod(path, 0o600)
            _lock(descriptor)
        except BlockingIOError:
            raise Busy(HELD) from None
        except OSError as error:
            raise_if_hosts(error)
            raise Unusable(f"the lock file cannot be used ({type(error).__name__})") from error
        status = status_of(path)
        if status is None or not os.path.samestat(status, os.fstat(descriptor)):
            raise Busy(HELD)  # the file was removed between open and flock, so no other process can see this lock
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)  # releases the lock


def _check(path: str) -> None:
    directory = os.path.dirname(path)
    if not exists(directory):
        raise FileNotFoundError(directory)  # filelock would create it, readable by other users
    if not is_lockable(path):
        raise Unusable("the lock file is a link or not a regular file")
    if sys.platform != "win32" and os.geteuid() == 0 != os.stat(directory).st_uid:
        raise Unusable("the lock file would belong to root, in a directory of another user, who could then not lock it")


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:  # held: PermissionError on Windows, an error without a number on Wine
            raise BlockingIOError from error

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
