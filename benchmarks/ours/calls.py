"""Counts the system calls of a record: one strace, with a mark before every record."""

import re
import shutil
from collections import Counter
from collections.abc import Iterable
from typing import Any

from benchmarks.ours.host import BY_HAND, Host

# A call that nothing else makes, so that the trace shows where each record begins.
MARK = """
import os, sys
def mark(name): os.access("/mark/" + name, os.F_OK)
mark("opening")
"""
OURS = """
from deepchecks_telemetry.spool import record
mark("first")
assert record("run-check")
for _ in range(int(sys.argv[1])):
    mark("record")
    record("run-check")
mark("exit")
"""
HAND = """
for _ in range(int(sys.argv[2])):
    mark("record")
    execute(INSERT, VALUES)
mark("exit")
"""
CALL = re.compile(r"^(?:\d+ +)?(\w+)\(")
MARKED = re.compile(r'"/mark/(\w+)"')
SYNCING = ("fsync", "fdatasync", "sync_file_range", "msync")

COMPACT_EVERY = 2_500  # as in spool/recording/writer.py
Phases = list[tuple[str, Counter[str]]]


def count(host: Host, *, quick: bool) -> dict[str, Any]:
    """Calls by name: of a usual record, of the first one in an existing spool, of the exit, and of the same by hand."""
    if shutil.which("strace") is None:
        return {"not_measured": "strace is not installed"}
    records = COMPACT_EVERY if quick else 2 * COMPACT_EVERY
    host.run(MARK + OURS, 0)  # creates the spool and the bytecode
    ours = trace(host, MARK + OURS, records)
    by_hand = trace(host, MARK + BY_HAND + HAND, host.spool, records)
    nothing = trace(host, MARK + 'mark("exit")')
    return {
        "records": records,
        "record": usual(ours),
        "record_by_hand": usual(by_hand),
        "records_with_one_fold": _with_one_fold(ours),
        "import": _phase(ours, "opening"),
        "first_record": _phase(ours, "first"),
        "exit_beyond_python": _phase(ours, "exit") - _phase(nothing, "exit"),
        "opening_by_hand": _phase(by_hand, "opening"),
        "exit_by_hand_beyond_python": _phase(by_hand, "exit") - _phase(nothing, "exit"),
        "syncs": {name: _syncs(phases) for name, phases in (("ours", ours), ("by_hand", by_hand))},
    }


def trace(host: Host, code: str, *arguments: object) -> Phases:
    """The system calls of code with marks."""
    written = host.home / "trace"
    host.run(code, *arguments, before=["strace", "-f", "-o", str(written)])
    return split(written.read_text("utf-8", "replace").splitlines())


def split(lines: Iterable[str]) -> Phases:
    """The calls between two marks by name; calls before the first mark belong to Python's start."""
    phases: Phases = []
    for line in lines:
        called, marked = CALL.match(line), MARKED.search(line)
        if marked:
            phases.append((marked[1], Counter()))
        elif called and phases:
            phases[-1][1][called[1]] += 1
    return phases


def usual(phases: Phases) -> dict[str, Any]:
    """The calls of most records; those that check the choice (every 10 ms) or fold make more."""
    records = [calls for name, calls in phases if name == "record"]
    ((calls, alike),) = Counter(tuple(sorted(calls.items())) for calls in records).most_common(1)
    return {
        "calls": dict(calls),
        "total": sum(number for _, number in calls),
        "percent_of_records_alike": round(100 * alike / len(records), 1),
        "mean_total": round(sum(map(Counter.total, records)) / len(records), 2),
    }


def _with_one_fold(phases: Phases) -> dict[str, int]:
    records = [calls for name, calls in phases if name == "record"][:COMPACT_EVERY]
    return {name: calls for name, calls in sum(records, Counter[str]()).most_common() if calls >= 2}


def _phase(phases: Phases, name: str) -> Counter[str]:
    return sum((calls for phase, calls in phases if phase == name), Counter[str]())


def _syncs(phases: Phases) -> dict[str, int]:
    """Calls that wait for the disk, which are the main cost of a short program."""
    return {
        name: sum(_phase(phases, name)[call] for call in SYNCING) for name in ("opening", "first", "record", "exit")
    }
