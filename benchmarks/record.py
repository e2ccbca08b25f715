"""Measures one record against a bare INSERT that keeps its WAL bounded too: median, tail and mean, alone and of four.

    python benchmarks/record.py [--records N]     # one million takes a minute; prints one JSON document

Both are called alternately, on the same disk. The bare INSERT has the same pragmas, except for SQLite's own checkpoint,
which comes at the size that the WAL of this package has at a fold. This is not a test: absolute times depend on the
machine, and p99.9 also on its other programs.
"""

import argparse
import json
import multiprocessing
import os
import sqlite3
import statistics
import tempfile
import time
from array import array
from collections.abc import Callable
from pathlib import Path

CALLS = 500  # of one before the other has its turn
PROCESSES, PACE_S, PACED_CALLS, ROUNDS = 4, 1 / 500, 2_000, 3  # four processes at 500 records a second each
LONG_S = 0.02
BARE = "INSERT INTO events (day, event, environment) VALUES (20000, ?, 1)"
SCHEMA = """
PRAGMA page_size = 512; PRAGMA journal_mode = WAL;
CREATE TABLE events (id INTEGER PRIMARY KEY, day INTEGER, event INTEGER, environment INTEGER);
"""
SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
Call = Callable[[], object]


def main() -> None:
    """Measure and print; times are in microseconds unless the name says otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000, metavar="N", help="in the one process")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"DEEPCHECKS_TELEMETRY_DIR": folder, "DEEPCHECKS_TELEMETRY": "on"}
        bare = Path(folder, "bare.db")
        sqlite3.connect(bare).executescript(SCHEMA)
        print(json.dumps({"alone": _alone(bare, options.records), "four": _four(bare)}, indent=2))


def _alone(path: Path, records: int) -> dict[str, object]:
    calls = {"ours": _ours(), "bare": _bare(path)}
    times = {name: array("f") for name in calls}
    for _ in range(records // CALLS):
        for name, call in calls.items():
            _time(call, CALLS, times[name])
    return _compare(times)


def _four(path: Path) -> dict[str, object]:
    times = {"ours": array("f"), "bare": array("f")}
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        for _ in range(ROUNDS):
            for name, taken in times.items():
                for part in pool.starmap(_paced, [(name, path)] * PROCESSES):
                    taken.extend(part)
    return _compare(times)


def _paced(name: str, path: Path) -> "array[float]":
    """The times of one of several processes, which each open their store once."""
    call = _ours() if name == "ours" else _bare(path)
    call()
    times = array("f")
    due = time.monotonic()
    for _ in range(PACED_CALLS):
        due += PACE_S
        time.sleep(max(0.0, due - time.monotonic()))
        _time(call, 1, times)
    return times


def _ours() -> Call:
    from deepchecks_telemetry.spool import record

    return lambda: record("run-check")


def _bare(path: Path) -> Call:
    from deepchecks_telemetry.spool.recording.writer import COMPACT_EVERY

    connection = sqlite3.connect(path, isolation_level=None)
    frames = COMPACT_EVERY * 21 // 20  # an event changes 1.05 pages
    connection.executescript(f"PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = {frames}")
    execute = connection.cursor().execute
    return lambda: execute(BARE, (2,))


def _time(call: Call, calls: int, times: "array[float]") -> None:
    clock = time.perf_counter
    for _ in range(calls):
        start = clock()
        call()
        times.append(clock() - start)


def _compare(times: "dict[str, array[float]]") -> dict[str, object]:
    shapes = {name: _shape(taken) for name, taken in times.items()}
    ours, bare = shapes["ours"], shapes["bare"]
    ratio = {name: round(ours[name] / bare[name], 2) for name in ("mean_us", *(f"{share}_us" for share in SHARES))}
    return {**shapes, "ratio": ratio}


def _shape(times: "array[float]") -> dict[str, float]:
    ordered = sorted(times)
    shares = {f"{name}_us": round(ordered[int((len(ordered) - 1) * share)] * 1e6, 1) for name, share in SHARES.items()}
    return {
        "records": len(ordered),
        "mean_us": round(statistics.fmean(ordered) * 1e6, 2),
        **shares,
        "max_ms": round(ordered[-1] * 1e3, 1),
        "records_over_20_ms": sum(time_s > LONG_S for time_s in ordered[-1000:]),
    }


if __name__ == "__main__":
    main()
