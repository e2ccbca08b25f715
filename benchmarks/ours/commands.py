"""Measures commands as a user starts them, warm and cold, beside those of other projects and a bare interpreter.

Cold means that the files of the environment and of Python's library are no longer in the page cache, except for the
pages that other programs have mapped.
"""

import os
import statistics
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.ours.host import RECORD, Cost, Host, at_least, measure_alternately

Command = Sequence[str]
BARE = "python -c pass"


def measure(host: Host, others: Mapping[str, Command], *, quick: bool) -> dict[str, Any]:
    """Medians of each command in ms, and the ratios to a bare interpreter."""
    host.run(RECORD)
    script = str(Path(host.python).with_name("deepchecks"))
    commands: dict[str, Command] = {
        BARE: (host.python, "-c", "pass"),
        "deepchecks telemetry status": (script, "telemetry", "status"),
        "deepchecks telemetry --help": (script, "telemetry", "--help"),
        **others,
    }
    rounds = at_least(21, quick=quick)
    warm = measure_alternately({name: partial(host.time, command) for name, command in commands.items()}, rounds)
    cold = measure_alternately({name: _cold(host, command) for name, command in commands.items()}, rounds // 3)
    return {name: _summarize(warm[name], cold[name], warm[BARE], cold[BARE]) for name in commands}


def _cold(host: Host, command: Command) -> Callable[[], Cost]:
    """The command after its files have left the page cache."""
    folders = [Path(command[0]).parents[1], Path(sysconfig.get_path("stdlib"))]

    def run() -> Cost:
        for folder in folders:
            evict(folder)
        return host.time(command)

    return run


def evict(folder: Path) -> None:
    """Ask the kernel to drop the cached pages of all files below a directory."""
    for path in folder.rglob("*"):
        if path.is_file():
            number = os.open(path, os.O_RDONLY)
            os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(number)


def _summarize(warm: list[Cost], cold: list[Cost], bare_warm: list[Cost], bare_cold: list[Cost]) -> dict[str, float]:
    middle = statistics.median
    return {
        "wall_ms": round(middle(cost.wall_ms for cost in warm), 1),
        "cpu_ms": round(middle(cost.cpu_ms for cost in warm), 1),
        "cold_wall_ms": round(middle(cost.wall_ms for cost in cold), 1),
        "ratio": _ratio(warm, bare_warm),
        "cold_ratio": _ratio(cold, bare_cold),
    }


def _ratio(runs: list[Cost], bare: list[Cost]) -> float:
    """The median over the rounds."""
    return round(statistics.median(run.wall_ms / base.wall_ms for run, base in zip(runs, bare, strict=True)), 1)
