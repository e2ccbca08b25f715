"""Starts processes of the measured interpreter, each with a separate home."""

import json
import os
import resource
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

TIMEOUT_S = 900.0
# Variables of the user that would turn recording off, or put a proxy before loopback.
FOREIGN = ("DEEPCHECKS_", "DISABLE_", "DO_NOT_TRACK", "PYTHON", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
INSIDE = Path(__file__).with_name("inside.py")


class Cost(NamedTuple):
    """The times of one process, from its start to its end."""

    wall_ms: float
    cpu_ms: float


class Host(NamedTuple):
    """An interpreter with the package, and the home of its processes."""

    python: str
    home: Path

    @property
    def spool(self) -> Path:
        """The database of this home."""
        return self.home / "state" / "spool.db"

    def environ(self, **more: str) -> dict[str, str]:
        """The variables of its processes, without those that would change the measurement."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        return {**clean, "DEEPCHECKS_TELEMETRY_DIR": str(self.home), "DEEPCHECKS_TELEMETRY": "on", **more}

    def elsewhere(self, name: str) -> "Host":
        """The same interpreter with a separate home inside this one."""
        folder = self.home / name
        folder.mkdir(parents=True, exist_ok=True)
        return Host(self.python, folder)

    def run(self, code: str, *arguments: object, before: Sequence[str] = (), **more: str) -> str:
        """The output of the code; `before` is a program that traces it."""
        command = [*before, self.python, "-c", code, *map(str, arguments)]
        done = subprocess.run(
            command,
            env=self.environ(**more),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"Error: a measured process failed.\n{done.stderr}")
        return done.stdout

    def ask(self, code: str, *arguments: object, **more: str) -> Any:
        """The JSON that the code prints."""
        return json.loads(self.run(code, *arguments, **more))

    def inside(self, act: str, *arguments: object, **more: str) -> Any:
        """The result of a function of inside.py in the measured interpreter."""
        return self.ask(INSIDE.read_text("utf-8"), act, *arguments, **more)

    def time(self, command: Sequence[str]) -> Cost:
        """The times of a command, which must not fail."""
        before, start = _children_s(), time.perf_counter()
        subprocess.run(command, env=self.environ(), cwd=self.home, capture_output=True, timeout=TIMEOUT_S, check=True)
        wall_s = time.perf_counter() - start
        return Cost(wall_s * 1e3, (_children_s() - before) * 1e3)

    def timed(self, code: str, *arguments: object, **more: str) -> tuple[Cost, str]:
        """The times of a process of this code, and its output."""
        before, start = _children_s(), time.perf_counter()
        output = self.run(code, *arguments, **more)
        wall_s = time.perf_counter() - start
        return Cost(wall_s * 1e3, (_children_s() - before) * 1e3), output


def measure_alternately(variants: Mapping[str, Callable[[], Cost]], rounds: int) -> dict[str, list[Cost]]:
    """Measure all variants in each round, so that a busy minute affects all; the first round only warms up."""
    for act in variants.values():
        act()
    costs: dict[str, list[Cost]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, act in variants.items():
            costs[name].append(act())
    return costs


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def at_least(count: int, *, quick: bool) -> int:
    """The number of rounds: a third of `count`, and at least three, in the short form."""
    return max(3, count // 3) if quick else count


RECORD = "from deepchecks_telemetry.spool import record\nassert record('run-check')\n"
# An INSERT into the same table with the same settings, and nothing else.
BY_HAND = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
connection.execute("PRAGMA synchronous = NORMAL")
connection.execute("PRAGMA wal_autocheckpoint = 0")
execute = connection.cursor().execute
INSERT, VALUES = "INSERT INTO events (day, event, environment) VALUES (?, ?, ?)", (20_000, 2, 1)
execute(INSERT, VALUES)
"""
