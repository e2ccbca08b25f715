"""Counts the instructions of a record in user space, as the difference of two runs, which cancels Python's start.

callgrind runs a program some fifty times slower, so every tenth record checks the choice instead of one in a thousand:
its figure is a few per cent too high.
"""

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from benchmarks.ours.host import BY_HAND, RECORD, Host

FEW, MANY = 100, 900  # records; the host does not fold before
OURS = """
import sys
from deepchecks_telemetry.spool import record
for _ in range(int(sys.argv[2])):
    record("run-check")
"""
HAND = """
for _ in range(int(sys.argv[2])):
    execute(INSERT, VALUES)
"""
CODES = {"ours": OURS, "by hand": BY_HAND + HAND}


class Counting(NamedTuple):
    """A program that counts instructions, and the pattern of the figure in its output file."""

    name: str
    before: tuple[str, ...]
    figure: str


COUNTINGS = (
    Counting("perf", ("perf", "stat", "-x,", "-e", "instructions:u", "-o", "counted", "--"), r"^(\d+),[^,]*,instr"),
    Counting(
        "callgrind",
        ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--log-file=counted"),
        r"Collected : (\d+)",
    ),
)


def count(host: Host) -> dict[str, Any]:
    """Instructions of one record, of a bare INSERT by hand, and their ratio."""
    counting = next((counting for counting in COUNTINGS if _works(host, counting)), None)
    if counting is None:
        return {"not_measured": "neither perf nor valgrind can count here"}
    with ThreadPoolExecutor() as pool:  # load does not change a count
        record, by_hand = pool.map(lambda item: _per_record(host.elsewhere(item[0]), counting, item[1]), CODES.items())
    return {
        "counted_by": counting.name,
        "record": record,
        "insert_by_hand": by_hand,
        "ratio": round(record / by_hand, 2),
    }


def _works(host: Host, counting: Counting) -> bool:
    """Whether the program is installed and allowed; virtual machines often have no counters for perf."""
    if shutil.which(counting.before[0]) is None:
        return False
    subprocess.run([*counting.before, "true"], cwd=host.home, capture_output=True, timeout=60, check=False)
    return _read(host, counting) is not None


def _per_record(host: Host, counting: Counting, code: str) -> int:
    few, many = (_count(host.elsewhere(str(records)), counting, code, records) for records in (FEW, MANY))
    return round((many - few) / (MANY - FEW))


def _count(host: Host, counting: Counting, code: str, records: int) -> int:
    host.run(RECORD)  # creates the spool
    host.run(code, host.spool, records, before=counting.before, PYTHONHASHSEED="0")
    return _read(host, counting) or 0


def _read(host: Host, counting: Counting) -> int | None:
    output = host.home / "counted"
    match = re.search(counting.figure, output.read_text("utf-8"), re.MULTILINE) if output.exists() else None
    return int(match[1]) if match else None
