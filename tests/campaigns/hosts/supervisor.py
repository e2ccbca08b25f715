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
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


def main(report: str, seconds: str, *command: str) -> None:
    """Write the exit status of the host, and the commands of the processes that had to be killed."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # a daemon that lost its parent becomes our child
    signal.signal(signal.SIGALRM, time_is_up)
    signal.alarm(int(seconds))
    host = subprocess.Popen(command)
    statuses: dict[int, int] = {}
    hung: list[str] = []
    try:
        reap(statuses)
    except TimeoutError:
        hung = [kill(pid) for pid in descendants(os.getpid())]
        reap(statuses)
    host.returncode = 0  # reaped above
    status = os.waitstatus_to_exitcode(statuses[host.pid])
    Path(report).write_text(json.dumps({"status": status, "hung": hung}))


def time_is_up(*_: object) -> None:
    """Leave the wait for the children."""
    raise TimeoutError


def reap(statuses: dict[int, int]) -> None:
    """Wait for children until there are none."""
    try:
        while True:
            pid, status = os.wait()
            statuses[pid] = status
    except ChildProcessError:
        return


def descendants(parent: int) -> list[int]:
    """All processes below one, children first."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [*map(int, children), *(pid for child in children for pid in descendants(int(child)))]


def kill(pid: int) -> str:
    """Kill a process that hangs; its faulthandler prints first where it hangs."""
    name = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    os.kill(pid, signal.SIGABRT)
    time.sleep(0.2)
    os.kill(pid, signal.SIGKILL)
    return name


if __name__ == "__main__":
    main(*sys.argv[1:])
