"""The figures of `benchmarks.ours` are measured correctly, and a record makes only the expected system calls."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from benchmarks.endpoints import answering
from benchmarks.ours import calls, growth, library
from benchmarks.ours.budgets import BUDGETS, judge
from benchmarks.ours.host import RECORD, Cost, Host
from benchmarks.ours.library import Run

from deepchecks_telemetry.spool.recording.writer import COMPACT_EVERY

FIRST = BUDGETS[0]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(sys.executable, tmp_path)


def test_a_trace_is_split_at_its_marks_without_pythons_start() -> None:
    lines = [
        '7 read(3, "", 1) = 0',
        '7 access("/mark/first", F_OK) = -1 ENOENT',
        "7 pwrite64(4, 1, 1, 1) = 1",
        "7 pwrite64(4, 1, 1, 1) = 1",
        "7 --- SIGCHLD {si_signo=SIGCHLD} ---",
        '7 faccessat(AT_FDCWD, "/mark/exit", F_OK) = -1 ENOENT',
        "7 close(4) = 0",
        "7 +++ exited with 0 +++",
    ]
    assert calls.split(lines) == [("first", Counter(pwrite64=2)), ("exit", Counter(close=1))]


@pytest.mark.parametrize("power", [0, 1, 2])
def test_the_slope_is_the_exponent_of_growth(power: int) -> None:
    sizes = [1_000, 10_000, 1_000_000]
    assert growth.slope(sizes, [3.0 * size**power for size in sizes]) == power


@pytest.mark.parametrize(("found", "kept"), [(FIRST.limit, True), (FIRST.limit + 1, False)])
def test_a_budget_is_kept_or_missed_by_the_measurement(found: float, *, kept: bool) -> None:
    judged = judge({"library": {"ours": {"first_cpu_ms": found}}})
    assert judged[0] == {"name": FIRST.name, "limit": FIRST.limit, "least": False, "found": found, "kept": kept}


def test_a_missing_measurement_is_neither_kept_nor_missed() -> None:
    figures: dict[str, Any] = {"library": {"not_measured": "deepchecks is not installed"}}
    assert {figure["kept"] for figure in judge(figures)} == {None}


def test_the_trace_contains_a_fold() -> None:
    assert calls.COMPACT_EVERY == COMPACT_EVERY


def test_the_ratio_of_a_program_is_to_that_of_the_same_round() -> None:
    report = {"import_cpu_ms": 4000.0, "first_cpu_ms": 4.0}
    without = [Run(Cost(wall_ms, 100.0), report) for wall_ms in (1000.0, 2000.0, 4000.0)]
    ours = [Run(Cost(wall_ms, 101.0), report) for wall_ms in (1010.0, 2040.0, 4040.0)]
    summary = library._summarize(ours, without)
    assert (summary["wall_ratio"], summary["cpu_ratio"], summary["percent_of_import"]) == (1.01, 1.01, 0.1)


@pytest.mark.skipif(sys.platform != "linux", reason="strace is a Linux program")
def test_a_record_makes_two_writes_and_no_fsync(host: Host, tool: Callable[[str], str]) -> None:
    tool("strace")
    host.run(RECORD)
    phases = calls.trace(host, calls.MARK + calls.OURS, 50)
    usual = calls.usual(phases)
    assert usual["calls"].get("pwrite64") == 2
    assert usual["total"] <= 11  # two of them check that the descriptors are still SQLite's
    assert {name for name, made in phases if any(made[call] for call in calls.SYNCING)} == set()


def test_the_measured_upload_was_delivered(host: Host) -> None:
    with answering(lambda *_: b"{}") as endpoint:
        took = host.inside("grow", 1_000, 7, DEEPCHECKS_TELEMETRY_ENDPOINT=endpoint.url)
        assert len(endpoint.requests) == took["batches"] == 1
    assert min(took["fold_s"], took["seal_a_batch_s"], took["flush_s"]) > 0
