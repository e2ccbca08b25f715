"""Real host programs that start the uploader, and an interpreter that reports the start and end of each uploader."""

import os
import select
import subprocess
import sys
from pathlib import Path

from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.files.paths import Home

PATIENCE_S = 30

HOST = """
import os, subprocess, sys, threading
from deepchecks_telemetry.uploader import upload_if_due
sys.addaudithook(lambda event, _: event.startswith(("socket.", "_thread.")) and print(event))
run = subprocess.run
def run_and_report(*command, **options):
    try:
        return run(*command, **options)
    except subprocess.TimeoutExpired:
        print("the host waited for its child")
subprocess.run = run_and_report
attached = sys.argv[1] or None
if len(sys.argv) > 2:
    sys.executable = sys.argv[2]
if len(sys.argv) > 3:
    print("ready", flush=True)
    sys.stdin.readline()
upload_if_due(attached)
try:
    print("a child process", os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    pass
if threading.active_count() > 1:
    print("a thread")
"""


def set_due(home: Home, due: "float | None") -> None:
    with opened(home) as connection:
        connection.execute("UPDATE spool SET next_upload = ?", (due,))


def host(*arguments: str, cwd: "Path | None" = None, stderr: int = subprocess.PIPE) -> "subprocess.Popen[str]":
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", *arguments]
    return subprocess.Popen(command, cwd=cwd, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)


def run_simultaneously(*arguments: str, processes: int = 10) -> list[str]:
    """Start the processes, release them together, and return the output of each."""
    hosts = [host(*arguments) for _ in range(processes)]
    for process in hosts:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in hosts:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return ["".join(process.communicate(timeout=PATIENCE_S)) for process in hosts]


class Children:
    """A Python that reports its start and its end on a pipe, for `sys.executable` of a host.

    It is named `python`, because an executable with another name is not started.
    """

    def __init__(self, folder: Path) -> None:
        folder = folder / "interpreter"
        folder.mkdir()
        pipe, self.python = folder / "pipe", folder / "python"
        os.mkfifo(pipe)
        # Each side opens the pipe for reading and writing, so that no open() waits for the other, and no write() fails.
        self._pipe = os.fdopen(os.open(pipe, os.O_RDWR), "rb", buffering=0)
        self.python.write_text(
            f"""#!/bin/sh
endpoint() {{ while [ "$1" != -c ]; do shift; done; printf %s "$3"; }}
pwd -P >>{folder}/cwd
echo "start $(endpoint "$@")" 1<>{pipe}
{sys.executable} "$@" >>{folder}/output 2>&1
echo end $? 1<>{pipe}
"""
        )
        self.python.chmod(0o700)
        self._output, self._cwd = folder / "output", folder / "cwd"

    def next(self) -> str:
        line = b""
        while not line.endswith(b"\n"):
            assert select.select([self._pipe], [], [], PATIENCE_S)[0], "no child"
            line += self._pipe.read(1)
        return line.decode().strip()

    def wait(self) -> str:
        """Wait for the next child, which must succeed without output, and return the endpoint that it was given."""
        first, last = self.next(), self.next()
        assert last == "end 0"
        assert self._output.read_text() == ""
        return first.removeprefix("start").strip()

    def more(self) -> bool:
        return bool(select.select([self._pipe], [], [], 0)[0])

    def working_directories(self) -> list[str]:
        """The working directory of each child that was started."""
        return self._cwd.read_text().splitlines() if self._cwd.exists() else []

    def close(self) -> None:
        self._pipe.close()
