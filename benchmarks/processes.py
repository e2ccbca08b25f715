"""Starts, times and ends processes of a peer: each has its own home and at most 30 seconds; none is left running."""

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Any, NamedTuple

from benchmarks.peers import Adapter

LIMIT_S = 30.0
SETTLE_S = 15.0
CHILD = Path(__file__).with_name("child.py")


class Peer(NamedTuple):
    """An installed peer."""

    name: str
    adapter: Adapter
    python: str
    isolated: bool


class Result(NamedTuple):
    """The result of a process."""

    wall_s: float
    cpu_s: float
    code: int
    over: bool
    report: dict[str, Any]
    error: str


class Failed(Exception):
    """A peer's process ended with an error."""


class Workspace(NamedTuple):
    """A directory for a peer's home, and one for files of the benchmark."""

    home: Path
    files: Path


@contextmanager
def new_workspace() -> Iterator[Workspace]:
    """A new workspace; at its end, all processes that were started in it, also indirectly, are killed."""
    with tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True) as folder:
        workspace = Workspace(Path(folder, "home"), Path(folder, "files"))
        for directory in workspace:
            directory.mkdir()
        try:
            yield workspace
        finally:
            end_all(workspace)


class Process:
    """A running process of a peer; `wait` returns its result."""

    def __init__(
        self, peer: Peer, act: str, url: str, workspace: Workspace, *numbers: float, held: bool = False
    ) -> None:
        self.over = False
        self._report = Path(tempfile.mkstemp(dir=workspace.files)[1])
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by wait()
        command = [peer.python, "-I", *map(str, (CHILD, act, peer.name, url, workspace.home, self._report, *numbers))]
        environ = _environ(peer, act, url, workspace.home)
        stdin = subprocess.PIPE if held else subprocess.DEVNULL
        self._home = str(workspace.home)
        self._start = perf_counter()
        self._child = subprocess.Popen(
            command,
            env=environ,
            cwd=workspace.home,
            stdin=stdin,
            stdout=self._errors,
            stderr=self._errors,
            start_new_session=True,
        )
        self._timer = threading.Timer(LIMIT_S, self._give_up)
        self._timer.start()

    def is_ready(self) -> bool:
        """Whether the process waits for `release`, or has ended."""
        ended = os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return Path(f"{self._report}.ready").exists() or ended is not None

    def release(self) -> None:
        if self._child.stdin is not None:
            self._child.stdin.close()

    def wait(self) -> Result:
        _, status, usage = os.wait4(self._child.pid, 0)
        wall = perf_counter() - self._start
        self._timer.cancel()
        self._child.returncode = code = os.waitstatus_to_exitcode(status)
        self._errors.seek(0)
        with self._errors as errors:
            output = errors.read().decode("utf-8", "replace").strip().replace(self._home, "~")
        report = self._report.read_text("utf-8")
        cpu = usage.ru_utime + usage.ru_stime
        return Result(wall, cpu, code, self.over, json.loads(report) if report else {}, output)

    def _give_up(self) -> None:
        self.over = True
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)


def run(peer: Peer, act: str, url: str, workspace: Workspace, *numbers: float) -> Result:
    """Run one process; raises `Failed` if it ended with an error."""
    result = Process(peer, act, url, workspace, *numbers).wait()
    if result.code > 0:
        raise Failed(f"{act}: {reason(result)}")
    return result


def reason(result: Result) -> str:
    """Why a process failed."""
    return "over 30 s" if result.over else (result.error.splitlines() or [f"exit code {result.code}"])[-1]


def end_all(workspace: Workspace) -> None:
    """Kill the running processes of a workspace."""
    for process in _running(workspace):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def settle(workspace: Workspace) -> None:
    """Wait until no process of a workspace runs: a peer's own process may run longer than its host."""
    end = monotonic() + SETTLE_S
    while list(_running(workspace)) and monotonic() < end:
        sleep(0.05)
    end_all(workspace)


def _running(workspace: Workspace) -> Iterator[int]:
    """The processes of a workspace, recognised by their HOME."""
    mark = f"HOME={workspace.home}\0".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "environ").read_bytes():
                yield int(folder.name)


def _environ(peer: Peer, act: str, url: str, home: Path) -> dict[str, str]:
    temporary = home.with_name("tmp")
    temporary.mkdir(exist_ok=True)
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TMPDIR": str(temporary),
        "BENCHMARK_STAYS": "" if peer.isolated else "1",
        **peer.adapter.environ(url, str(home)),
    }
    name, _, value = peer.adapter.OPT_OUT.partition("=")
    return environ | {name: value} if act == "opted_out" and name else environ
