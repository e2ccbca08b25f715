"""Starting, timing and ending a process of a peer: a home of its own, 30 seconds at most, and nothing left running."""

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
    """A peer that is installed."""

    name: str
    adapter: Adapter
    python: str
    isolated: bool


class Ran(NamedTuple):
    """What became of a process."""

    wall_s: float
    cpu_s: float
    code: int
    over: bool
    report: dict[str, Any]
    error: str


class Failed(Exception):
    """A peer's process ended with an error."""


class Ground(NamedTuple):
    """A folder for a peer's home, and one for what we write beside it."""

    home: Path
    beside: Path


@contextmanager
def ground() -> Iterator[Ground]:
    """A new place; at its end every process that was started there, directly or not, is ended."""
    with tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True) as folder:
        found = Ground(Path(folder, "home"), Path(folder, "beside"))
        for each in found:
            each.mkdir()
        try:
            yield found
        finally:
            end_all(found)


class Process:
    """A peer's process, from its start on; `wait` answers what became of it."""

    def __init__(self, peer: Peer, act: str, url: str, on: Ground, *numbers: float, held: bool = False) -> None:
        self.over = False
        self._report = Path(tempfile.mkstemp(dir=on.beside)[1])
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by wait()
        command = [peer.python, "-I", *map(str, (CHILD, act, peer.name, url, on.home, self._report, *numbers))]
        environ = _environ(peer, act, url, on.home)
        stdin = subprocess.PIPE if held else subprocess.DEVNULL
        self._home = str(on.home)
        self._start = perf_counter()
        self._child = subprocess.Popen(
            command,
            env=environ,
            cwd=on.home,
            stdin=stdin,
            stdout=self._errors,
            stderr=self._errors,
            start_new_session=True,
        )
        self._timer = threading.Timer(LIMIT_S, self._give_up)
        self._timer.start()

    def is_ready(self) -> bool:
        """Whether it waits for `release`, or has ended."""
        ended = os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return Path(f"{self._report}.ready").exists() or ended is not None

    def release(self) -> None:
        if self._child.stdin is not None:
            self._child.stdin.close()

    def wait(self) -> Ran:
        _, status, usage = os.wait4(self._child.pid, 0)
        wall = perf_counter() - self._start
        self._timer.cancel()
        self._child.returncode = code = os.waitstatus_to_exitcode(status)
        self._errors.seek(0)
        with self._errors as errors:
            said = errors.read().decode("utf-8", "replace").strip().replace(self._home, "~")
        written = self._report.read_text("utf-8")
        cpu = usage.ru_utime + usage.ru_stime
        return Ran(wall, cpu, code, self.over, json.loads(written) if written else {}, said)

    def _give_up(self) -> None:
        self.over = True
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)


def run(peer: Peer, act: str, url: str, on: Ground, *numbers: float) -> Ran:
    """One process from start to end; raises `Failed` where it ended with an error of its own."""
    ran = Process(peer, act, url, on, *numbers).wait()
    if ran.code > 0:
        raise Failed(f"{act}: {reason(ran)}")
    return ran


def reason(ran: Ran) -> str:
    """Why a process ended as it did."""
    return "over 30 s" if ran.over else (ran.error.splitlines() or [f"exit code {ran.code}"])[-1]


def end_all(on: Ground) -> None:
    """End what still runs of a place."""
    for process in _running(on):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def settle(on: Ground) -> None:
    """Wait until nothing runs of a place: a peer's own process may outlive its host for a while."""
    end = monotonic() + SETTLE_S
    while list(_running(on)) and monotonic() < end:
        sleep(0.05)
    end_all(on)


def _running(on: Ground) -> Iterator[int]:
    """The processes of a place, known by the HOME that it was given."""
    mark = f"HOME={on.home}\0".encode()
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
