"""Measures this package only; every figure comes from a separate process.

calls          system calls of a record
instructions   instructions of a record in user space
start          import, a whole process, the commands
growth         folding, sealing and sending by the number of events
sizes          bytes on the disk by the number and kinds of events
budgets        limits of these figures
host           starts the measured processes
inside         runs in the measured processes
"""

import tempfile
from pathlib import Path

from benchmarks.ours import calls, growth, instructions, sizes, start
from benchmarks.ours.budgets import judge
from benchmarks.ours.host import Host


def measure(python: str, *, quick: bool) -> dict[str, object]:
    """All figures of an interpreter with the package; `not_measured` is the reason for a missing one."""
    # A just started uploader may still write while the directory is removed.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        host = Host(python, Path(folder))
        figures: dict[str, object] = {
            "system_calls": calls.count(host.elsewhere("calls"), quick=quick),
            "instructions": instructions.count(host.elsewhere("instructions")),
            "first_record": start.first_record(host.elsewhere("first"), quick=quick),
            "process": start.process(host.elsewhere("process"), quick=quick),
            "networks": start.networks(host.elsewhere("networks"), quick=quick),
            "commands": start.commands(host.elsewhere("commands"), quick=quick),
            "growth": growth.measure(host.elsewhere("growth"), quick=quick),
            "sizes": sizes.measure(host.elsewhere("sizes"), quick=quick),
        }
    return {**figures, "budgets": judge(figures)}
