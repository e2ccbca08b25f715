"""Detects worker processes: they import again what the program that started them imports, and do not count for it.

Not detected, so that each one counts: workers that are programs of their own, started by a command (Ray, `dask worker
--no-nanny`), and forked workers where /proc is missing (macOS, Windows, gVisor).
"""

import os
import sys

# A fork server that preloads deepchecks is not a child in multiprocessing's sense: only its command line shows it.
_FORK_SERVER = "from multiprocessing.forkserver import main"
_FORKED_NOT_EXECUTED = 0x40  # PF_FORKNOEXEC in Linux' include/linux/sched.h
_PARENT, _FLAGS = 1, 6  # fields of /proc/self/stat, counted after the name of the program; see proc(5)


def is_worker() -> bool:
    """Whether this process was started by multiprocessing (spawn, fork, forkserver; so by Dask's nanny) or by loky."""
    process = sys.modules.get("multiprocessing.process")
    if process is None:
        return False
    # `_inheriting` while a spawned child still rebuilds its parent's main module; `parent_process` from then on.
    return (
        getattr(process.current_process(), "_inheriting", False)
        or process.parent_process() is not None
        or any(_FORK_SERVER in argument for argument in sys.orig_argv)
    )


def is_forked_worker() -> bool:
    """Whether this process was forked by a program that is still running: by gunicorn's master, for example.

    A daemon is not: the program that forked it has ended, so its parent is init, which runs another executable.
    """
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return bool(int(fields[_FLAGS]) & _FORKED_NOT_EXECUTED) and os.path.samefile(
            "/proc/self/exe", b"/proc/%s/exe" % fields[_PARENT]
        )
    except (FileNotFoundError, PermissionError, IndexError, ValueError):
        return False  # not Linux, or the parent belongs to another user, or has just ended
