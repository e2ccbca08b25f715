"""A host that gevent or eventlet patches: greenlets record, and forked children too.

    python -m ... gevent|eventlet first|later FORKS

`first` patches before anything else, as it should be; `later` after our import, as where an installed `.pth` file
attaches at the start of the interpreter.
"""

import os
import sys
import time
from importlib import import_module
from typing import Any

green: Any = import_module(sys.argv[1])


def patch() -> None:
    """Replace locks, sleeps and forks of the standard library."""
    import_module("gevent.monkey").patch_all() if sys.argv[1] == "gevent" else green.monkey_patch()


if sys.argv[2] == "first":
    patch()
from tests.campaigns.hosts.program import Journal, Stopwatch, fork, run_host  # noqa: E402


def main(journal: Journal, how: str, order: str, forks: str) -> None:
    """Record in greenlets, and fork from another one."""
    journal.record(1)
    if order == "later":
        patch()
    running = [True]
    greenlets = [green.spawn(stroll, journal, running) for _ in range(3)]
    for _ in range(int(forks)):
        fork_one(journal)
    running.clear()
    for greenlet in greenlets:
        getattr(greenlet, "join" if how == "gevent" else "wait")()


def fork_one(journal: Journal) -> None:
    """Fork a child that records, and wait for it while other greenlets run."""
    watch = Stopwatch()
    pid = fork(journal, lambda: work(journal))
    journal.facts["slowest_fork_ms"] = max(journal.facts.get("slowest_fork_ms", 0.0), watch.ms())
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        green.sleep(0.001)


def stroll(journal: Journal, running: list[bool]) -> None:
    """Record, and let others run in between."""
    while running:
        journal.record(2)
        time.sleep(0.001)


def work(journal: Journal) -> None:
    """Record in a child."""
    stored = journal.record(20)
    journal.count("children")
    journal.count("silent_children", stored == 0)


if __name__ == "__main__":
    run_host(main)
