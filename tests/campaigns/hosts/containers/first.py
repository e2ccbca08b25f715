"""A host that has to reap: PID 1 of a container, or a subreaper. An upload is due when it starts.

    python -m ... ordinary|first|subreaper

It starts children of its own, and `os.wait()` must answer with these and no other.
"""

import ctypes
import os
from pathlib import Path

from tests.campaigns.hosts.program import Clock, Journal, run_host

PR_SET_CHILD_SUBREAPER = 36


def main(journal: Journal, what: str) -> None:
    """Ask whether an upload is due, start children, and wait for all that there are."""
    assert (os.getpid() == 1) == (what == "first")
    if what == "subreaper":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    from deepchecks_telemetry.uploader import upload_if_due

    journal.record(5)
    upload_if_due()
    journal.record(5)
    own = {os.posix_spawn("/bin/true", ["true"], os.environ) for _ in range(3)}
    reaped = set(wait_for_all(journal))
    journal.count("own_children", len(own & reaped))
    journal.count("foreign_children", len(reaped - own))
    journal.count("zombies", sum(map(is_zombie, Path("/proc").glob("[0-9]*"))))


def wait_for_all(journal: Journal, seconds: float = 3.0) -> list[int]:
    """Reap like an init, also what comes later: the uploader needs a second to start and to find nobody at its port."""
    reaped: list[int] = []
    deadline = Clock.now() + seconds
    while Clock.now() < deadline:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            pid = 0
        if pid:
            reaped.append(pid)
        else:
            Clock.sleep(0.01)
    return reaped


def is_zombie(process: Path) -> bool:
    """Whether a process has ended and has not been waited for by us."""
    try:
        state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return False
    return state == "Z" and int(parent) == os.getpid()


if __name__ == "__main__":
    run_host(main)
