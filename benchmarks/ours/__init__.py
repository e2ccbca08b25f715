"""Measures this package only; every figure comes from a separate process.

calls          system calls of a record
instructions   instructions of a record in user space
library        a program that imports deepchecks, with this package and without
commands       `deepchecks telemetry …` beside commands of other projects
growth         folding, sealing and sending by the number of events
sizes          bytes on the disk by the number and kinds of events
budgets        limits of these figures
host           starts the measured processes
inside         runs in the measured processes
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.ours import calls, commands, growth, instructions, library, sizes
from benchmarks.ours.budgets import judge
from benchmarks.ours.host import Host

Measure = Callable[[Host, bool], Any]
MEASURES: dict[str, Measure] = {
    "system_calls": lambda host, quick: calls.count(host, quick=quick),
    "instructions": lambda host, _: instructions.count(host),
    "library": lambda host, quick: library.measure(host, quick=quick),
    "growth": lambda host, quick: growth.measure(host, quick=quick),
    "sizes": lambda host, quick: sizes.measure(host, quick=quick),
}


def measure(
    python: str,
    *,
    quick: bool,
    only: str | None = None,
    light: str | None = None,
    others: Mapping[str, commands.Command] | None = None,
) -> dict[str, Any]:
    """All figures of an interpreter with the package, or `only` one; `not_measured` is the reason for a missing one.

    The commands are those of the interpreter `light`, without deepchecks, and compared with those of `others`.
    """
    # A just started uploader may still write while the directory is removed.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        host = Host(python, Path(folder))
        figures = {name: act(host.elsewhere(name), quick) for name, act in MEASURES.items() if only in (None, name)}
        if only in (None, "commands"):
            there = host.elsewhere("commands")._replace(python=light or python)
            figures["commands"] = commands.measure(there, others or {}, quick=quick)
    return {**figures, "budgets": judge(figures)}
