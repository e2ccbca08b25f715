"""Imports deepchecks in a process of the given kind, and prints nothing."""

import os
import sys

from deepchecks_telemetry.hooks import attach

HOW = sys.argv[1]


def import_deepchecks() -> None:
    """Import it and run a check."""
    attach()
    from deepchecks.tabular.base_checks import SingleDatasetCheck

    SingleDatasetCheck().run()


def fork() -> bool:
    """Fork; whether this is the child."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return not child


if HOW == "program":
    import_deepchecks()
elif HOW in {"workers", "workers of a program that imports it"}:
    if HOW != "workers":
        import_deepchecks()
    for _ in range(3):
        if fork():
            import_deepchecks()
            os._exit(0)
elif HOW == "daemon":
    read, write = os.pipe()
    if fork():
        parent = os.getpid()
        if os.fork():
            os._exit(0)
        while os.getppid() == parent:  # until the parent has ended: then this process is a daemon
            os.sched_yield()
        import_deepchecks()
        os.write(write, b"done")
        os._exit(0)
    os.close(write)
    assert os.read(read, 4) == b"done"
elif HOW == "a program started by a program":
    os.spawnv(os.P_WAIT, sys.executable, [sys.executable, __file__, "program"])
