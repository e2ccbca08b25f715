"""How the time and memory of `collector report` grow with the rows of the store, in one run.

    python benchmarks/reports.py [--rows N ...] [FILE]    # 100,000, 1 and 10 million rows; ten minutes; prints JSON

The rows are stored by the collector's own `Store`, with uids in order, because random ones make only storing slower.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from deepchecks_telemetry.collector.otlp import Row
from deepchecks_telemetry.collector.store import Store
from deepchecks_telemetry.spool.catalogue import Environment

SIZES = (100_000, 1_000_000, 10_000_000)
ROWS_OF_AN_INSTALLATION, DAYS, BATCH = 100, 1_000, 10_000
EVENTS = ("package-import", "run-check", "run-suite")  # of an active day
FIRST = date(2023, 1, 2)
VERSIONS = [f"0.{minor}.{patch}" for minor in (17, 18, 19) for patch in range(4)]
LATE_DAYS = (0, 0, 0, 0, 0, 0, 0, 0, 5, 20)
SYSTEMS = [f"system {number}" for number in range(12)]
PYTHONS, RUNTIMES = [f"3.{minor}" for minor in range(9, 14)], ("script", "jupyter", "ci", "docker", "colab")
REPORTS = {
    "all": "",
    "--event": "event='run-check'",
    "--version": "version='0.18.1'",
    "--by day, of 31 days": "by='day', until=date(2025, 9, 20)",
    "--by day, of all days": "by='day', since=date(2023, 1, 2)",
    "--since the first day": "since=date(2023, 1, 2)",
}
# Run in a process of its own, whose peak memory is that of the report.
REPORT = """
import json, resource, sys, time
from datetime import date
from pathlib import Path
from deepchecks_telemetry.collector import Options, report
start, start_cpu = time.perf_counter(), time.process_time()
report(Path(sys.argv[1]), Options({options}))
time_s, cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({{"seconds": round(time_s, 2), "cpu_seconds": round(cpu_s, 2), "peak_mib": round(peak, 1)}}))
"""


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES, metavar="N")
    parser.add_argument("file", type=Path, nargs="?")
    options = parser.parse_args()
    text = json.dumps([_measure(rows) for rows in options.rows], indent=2)
    print(text)
    if options.file:
        options.file.write_text(text + "\n", "utf-8")


def _measure(rows: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        start = time.perf_counter()
        _fill(path, rows)
        stored_s = time.perf_counter() - start
        return {
            "rows": rows,
            "store_mb": round(path.stat().st_size / 1e6),
            "stored_s": round(stored_s, 1),
            "reports": {name: _measure_report(path, options) for name, options in REPORTS.items()},
        }


def _measure_report(path: Path, options: str) -> dict[str, Any]:
    command = [sys.executable, "-c", REPORT.format(options=options), str(path)]
    figures: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return figures


def _fill(path: Path, number: int) -> None:
    rows = _rows(number)
    with closing(Store(path)) as store:
        for start in range(0, number, BATCH):
            batch = list(islice(rows, BATCH))
            store.append(batch, received=FIRST + timedelta(days=start * DAYS // number + 1))


def _rows(number: int) -> Iterator[Row]:
    """Active days of installations that upgrade, each with one of 300 combinations of system, Python and runtime."""
    chance = random.Random(5)
    installations = [
        (str(UUID(int=chance.getrandbits(128))), [_skewed(values, chance) for values in (SYSTEMS, PYTHONS, RUNTIMES)])
        for _ in range(number // ROWS_OF_AN_INSTALLATION)
    ]
    for row in range(0, number + BATCH, len(EVENTS)):
        past = min(row / number, 0.999)
        late = chance.choice(LATE_DAYS)
        day = max(FIRST, FIRST + timedelta(days=int(past * DAYS) - late)).isoformat()
        installation, (system, python, runtime) = chance.choice(installations)
        version = VERSIONS[int(past * len(VERSIONS))]
        environment = Environment(version, "linux", system, "12", "cpython", python, runtime)
        for offset, event in enumerate(EVENTS):
            yield Row(str(UUID(int=row + offset)), day, event, 35, environment, installation)


def _skewed(values: Sequence[Any], chance: random.Random) -> Any:
    """One of the values, of which the first is the most frequent."""
    return values[int(len(values) * chance.random() ** 2)]


if __name__ == "__main__":
    main()
