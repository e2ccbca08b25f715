"""Every figure comes from a process of the measured interpreter, started here, in a home of its own and no other."""

import json
import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

TIMEOUT_S = 900.0
# Switches of the reader's own would turn recording off, a proxy would stand between us and loopback.
FOREIGN = ("DEEPCHECKS_", "DISABLE_", "DO_NOT_TRACK", "PYTHON", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
INSIDE = Path(__file__).with_name("inside.py")


class Cost(NamedTuple):
    """What one process took, from its start to its end."""

    wall_ms: float
    cpu_ms: float


class Host(NamedTuple):
    """An interpreter that has the package, and the folder that all of its processes record into."""

    python: str
    home: Path

    @property
    def spool(self) -> Path:
        """The database of this home."""
        return self.home / "state" / "spool.db"

    def environ(self, **more: str) -> dict[str, str]:
        """What its processes find: the reader's variables without those that would change what is measured."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        return {**clean, "DEEPCHECKS_TELEMETRY_DIR": str(self.home), "DEEPCHECKS_TELEMETRY": "on", **more}

    def elsewhere(self, name: str) -> "Host":
        """The same interpreter with a home of its own inside this one."""
        folder = self.home / name
        folder.mkdir(parents=True, exist_ok=True)
        return Host(self.python, folder)

    def run(self, code: str, *arguments: object, before: Sequence[str] = (), **more: str) -> str:
        """What the code prints; `before` is a program that watches it."""
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
        """What a function of inside.py answers, there."""
        return self.ask(INSIDE.read_text("utf-8"), act, *arguments, **more)

    def cost(self, code: str, *arguments: object, **more: str) -> Cost:
        """What a process of this code takes."""
        before, start = _children_s(), time.perf_counter()
        self.run(code, *arguments, **more)
        wall_s = time.perf_counter() - start
        return Cost(wall_s * 1e3, (_children_s() - before) * 1e3)


def in_turn(ways: Mapping[str, Callable[[], Cost]], rounds: int) -> dict[str, list[Cost]]:
    """Each way once, and again: a machine that is busy for a while is busy for all; the first round only warms up."""
    for act in ways.values():
        act()
    taken: dict[str, list[Cost]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, act in ways.items():
            taken[name].append(act())
    return taken


def medians(taken: dict[str, list[Cost]]) -> dict[str, dict[str, float]]:
    """The medians of each way, rounded for a reader."""
    return {
        name: {
            "wall_ms": round(statistics.median(cost.wall_ms for cost in costs), 1),
            "cpu_ms": round(statistics.median(cost.cpu_ms for cost in costs), 1),
        }
        for name, costs in taken.items()
    }


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def at_least(count: int, *, quick: bool) -> int:
    """A number of rounds: a third of them in the quick form."""
    return max(3, count // 3) if quick else count


BARE = "pass"
RECORD = "from deepchecks_telemetry.spool import record\nassert record('run-check')\n"
# The same settings as ours and nothing else, by hand, into the table that ours has.
BY_HAND = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
connection.execute("PRAGMA synchronous = NORMAL")
connection.execute("PRAGMA wal_autocheckpoint = 0")
execute = connection.cursor().execute
INSERT, VALUES = "INSERT INTO events (day, event, environment) VALUES (?, ?, ?)", (20_000, 2, 1)
execute(INSERT, VALUES)
"""
