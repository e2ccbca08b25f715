"""Runs one host program and waits until all of its descendants have ended, daemons too; ends those that hang.

python supervisor.py REPORT SECONDS COMMAND...
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


def main(report: str, seconds: str, *command: str) -> None:
    """Write the exit status of the host, and the commands of the processes that had to be killed."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # a daemon that lost its parent becomes our child
    signal.signal(signal.SIGALRM, time_is_up)
    host = subprocess.Popen(command)
    statuses: dict[int, int] = {}
    hung: list[str] = []
    signal.alarm(int(seconds))
    while not have_ended(statuses):
        hung += [kill(pid) for pid in descendants(os.getpid())]
        signal.alarm(1)  # for those that were started meanwhile
    host.returncode = 0  # reaped above
    status = os.waitstatus_to_exitcode(statuses[host.pid])
    Path(report).write_text(json.dumps({"status": status, "hung": hung}))


def time_is_up(*_: object) -> None:
    """Leave the wait for the children."""
    raise TimeoutError


def have_ended(statuses: dict[int, int]) -> bool:
    """Wait for children until there are none, or until the time is up."""
    try:
        while True:
            pid, status = os.wait()
            statuses[pid] = status
    except ChildProcessError:
        signal.alarm(0)
        return True
    except TimeoutError:
        return False


def descendants(parent: int) -> list[int]:
    """All processes below one."""
    listed = " ".join(map(read, Path(f"/proc/{parent}/task").glob("*/children"))).split()
    return [pid for child in map(int, listed) for pid in (child, *descendants(child))]


def kill(pid: int) -> str:
    """Kill a process that hangs; its faulthandler prints first where it hangs."""
    name = read(Path(f"/proc/{pid}/cmdline")).replace("\0", " ")
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGABRT)
        time.sleep(0.2)
        os.kill(pid, signal.SIGKILL)
    return name


def read(path: Path) -> str:
    """The text of a file in /proc; nothing where the process has ended meanwhile."""
    try:
        return path.read_text()
    except OSError:
        return ""


if __name__ == "__main__":
    main(*sys.argv[1:])
