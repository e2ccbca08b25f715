"""Detects worker processes, whose import of deepchecks is not counted, because their parent imports it too.

Not detected, and therefore counted: workers that are separate programs, started by a command (Ray, `dask worker
--no-nanny`), and forked workers on systems without /proc (macOS, Windows, gVisor).
"""

import os
import sys

# A fork server that preloads deepchecks is not a child process for multiprocessing: only its command line shows it.
_FORK_SERVER = "from multiprocessing.forkserver import main"
_FORKED_NOT_EXECUTED = 0x40  # PF_FORKNOEXEC in Linux' include/linux/sched.h
_PARENT, _FLAGS = 1, 6  # indexes in /proc/self/stat after the name of the program; see proc(5)


def is_worker() -> bool:
    """Whether multiprocessing (spawn, fork, forkserver; so also Dask's nanny) or loky started this process."""
    process = sys.modules.get("multiprocessing.process")
    if process is None:
        return False
    # `_inheriting` is set while a spawned child imports the main module of its parent, `parent_process` after that.
    return (
        getattr(process.current_process(), "_inheriting", False)
        or process.parent_process() is not None
        or any(_FORK_SERVER in argument for argument in sys.orig_argv)
    )


def is_forked_worker() -> bool:
    """Whether this process was forked by a program that is still running, for example by gunicorn's master.

    False for a daemon: the program that forked it has ended, so its parent is init, which is another executable.
    """
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return bool(int(fields[_FLAGS]) & _FORKED_NOT_EXECUTED) and os.path.samefile(
            "/proc/self/exe", b"/proc/%s/exe" % fields[_PARENT]
        )
    except (FileNotFoundError, PermissionError, IndexError, ValueError):
        return False  # not Linux, or the parent belongs to another user, or has just ended
