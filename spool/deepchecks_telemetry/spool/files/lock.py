"""The file lock for everything structural, across virtual environments: it saves work, the transaction decides.

Older versions of filelock let two holders overlap now and then: nothing that is done under it may be wrong without.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from deepchecks_telemetry.spool.errors import Busy, Unusable
from deepchecks_telemetry.spool.files.regular import is_lockable

POLL_S = 0.005


@contextmanager
def hold(path: str, timeout_s: float) -> Iterator[None]:
    """Hold the lock file at `path`, or raise `Busy` after `timeout_s`; its folder must exist."""
    # 40 ms in a bare interpreter: the hot path never comes here.
    from filelock import FileLock, Timeout

    if not os.path.isdir(os.path.dirname(path)):
        raise FileNotFoundError(os.path.dirname(path))  # filelock would make it, readable for others
    if not is_lockable(path):
        raise Unusable("the lock file is a link or no file")
    if sys.platform != "win32" and os.geteuid() == 0 != os.stat(os.path.dirname(path)).st_uid:
        raise Unusable("the lock file would be root's, in a folder of another user, who could never take it")
    # A soft lock is a file that a crash leaves behind for ever; where no native lock works we do without.
    lock = FileLock(path, mode=0o600, thread_local=False, fallback_to_soft=False, poll_interval=POLL_S)
    try:
        lock.acquire(timeout=timeout_s)
    except Timeout:
        raise Busy("another process holds the lock of the spool") from None
    except (OSError, NotImplementedError) as error:
        raise Unusable(f"the lock file cannot be used ({type(error).__name__})") from error
    try:
        yield
    finally:
        lock.release()
