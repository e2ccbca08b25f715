"""What ours alone costs, for a program, the disk and a maintainer; every figure from a process of its own.

calls          system calls of a record, one by one     instructions   what it executes, in user space
growth         folding, sealing, sending, by number     sizes          bytes on disk, by number and kind
start          import, a whole process, the commands    budgets        what of it we are held to

host starts the measured processes, inside runs in them.
"""

import tempfile
from pathlib import Path

from benchmarks.ours import calls, growth, instructions, sizes, start
from benchmarks.ours.budgets import judge
from benchmarks.ours.host import Host


def measure(python: str, *, quick: bool) -> dict[str, object]:
    """All figures of an interpreter that has the package installed; `not_measured` says why one is missing."""
    # An uploader that was just started may still write while the folder is cleared.
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
