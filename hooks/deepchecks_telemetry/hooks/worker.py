"""Tells a worker, which only imports again what its parent imported, from a process in its own right."""

import sys

# A fork server that preloads deepchecks has no parent in multiprocessing's sense: only its command line shows it.
_FORK_SERVER = "from multiprocessing.forkserver import main"


def is_worker() -> bool:
    """Whether this process was started by multiprocessing (spawn, fork, forkserver) or loky to work for another."""
    process = sys.modules.get("multiprocessing.process")
    if process is None:
        return False
    # `_inheriting` while a spawned child still rebuilds its parent's main module; `parent_process` from then on.
    return (
        getattr(process.current_process(), "_inheriting", False)
        or process.parent_process() is not None
        or any(_FORK_SERVER in argument for argument in sys.orig_argv)
    )
