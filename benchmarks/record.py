"""Measures the cost of a record in one run: compared with a bare INSERT, in four processes, at the start of a process.

    python benchmarks/record.py            # a minute; prints one JSON document

This is not a test: absolute times depend on the machine, only the ratios can be compared.
"""

import json
import multiprocessing
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROUNDS, CALLS = 40, 500
PACE_S = 1 / 500  # four processes at 500 records a second each
BARE = "INSERT INTO events (day, event, environment) VALUES (?, ?, ?)"


def main() -> None:
    """Run all and print the figures; times in microseconds unless the name says otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DEEPCHECKS_TELEMETRY_DIR"] = folder
        os.environ["DEEPCHECKS_TELEMETRY"] = "on"
        ours, bare = _interleave(Path(folder))
        figures = {"record_us": _shape(ours), "bare_us": _shape(bare)}
        figures["ratio"] = {name: round(_at(ours, share) / _at(bare, share), 2) for name, share in SHARES.items()}
        figures["four_processes_us"] = _shape(_four())
        figures["first_record_cpu_ms"] = {
            "bare interpreter": _first("pass"),
            "with deepchecks' imports": _first(LOADED),
        }
    print(json.dumps(figures, indent=2))


SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
# The modules that deepchecks 0.19.1 has imported, as far as this package needs them.
LOADED = (
    "import sqlite3, pathlib, typing, dataclasses, inspect, json, subprocess, importlib.metadata, ipaddress, random"
)


def _interleave(folder: Path) -> tuple[list[float], list[float]]:
    from deepchecks_telemetry.spool import record

    connection = _by_hand(folder / "bare.db")
    execute = connection.cursor().execute
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(ROUNDS):
        ours += _time(lambda: record("run-check"))
        bare += _time(lambda: execute(BARE, (20_000, 2, 1)))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return ours, bare


def _by_hand(path: Path) -> sqlite3.Connection:
    """A database with the same settings, and nothing else."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    connection.executescript(
        "PRAGMA page_size = 512; PRAGMA journal_mode = WAL; "
        "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;"
        "CREATE TABLE events (id INTEGER PRIMARY KEY, day INTEGER, event INTEGER, environment INTEGER);"
    )
    return connection


def _time(call: Callable[[], object], calls: int = CALLS) -> list[float]:
    clock = time.perf_counter
    times = []
    for _ in range(calls):
        start = clock()
        call()
        times.append(clock() - start)
    return times


def _four() -> list[float]:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        return [time_s for times in pool.map(_paced, range(4)) for time_s in times]


def _paced(_: int) -> list[float]:
    from deepchecks_telemetry.spool import record

    record("run-check")
    times = []
    due = time.monotonic()
    for _ in range(2000):
        due += PACE_S
        time.sleep(max(0.0, due - time.monotonic()))
        times += _time(lambda: record("run-check"), 1)
    return times


def _first(before: str) -> float:
    """The median CPU of importing the package and recording once, to an existing spool."""
    code = (
        f"{before}\nimport resource\na = resource.getrusage(0)\nfrom deepchecks_telemetry.spool import record\n"
        "assert record('run-check')\nb = resource.getrusage(0)\n"
        "print(b.ru_utime - a.ru_utime + b.ru_stime - a.ru_stime)"
    )
    # The first run writes the bytecode, which an installed package has.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", code]
    runs = [subprocess.run(command, env=environ, capture_output=True, text=True, check=True) for _ in range(16)]
    return round(statistics.median(float(run.stdout) for run in runs[1:]) * 1e3, 1)


def _shape(times: list[float]) -> dict[str, float]:
    return {name: round(_at(times, share) * 1e6, 1) for name, share in SHARES.items()}


def _at(times: list[float], share: float) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


if __name__ == "__main__":
    main()
