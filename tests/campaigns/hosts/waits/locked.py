"""A host that has recorded before another program takes the lock, and goes on while it is held and afterwards.

python -m ... TIMES
"""

import os
import subprocess
import sys
from pathlib import Path

from tests.campaigns.hosts.program import Clock, Journal, Stopwatch, run_host

NEIGHBOUR = Path(__file__).parents[1] / "neighbour.py"
SPOOL = os.path.join(os.environ["DEEPCHECKS_TELEMETRY_DIR"], "state", "spool.db")


def main(journal: Journal, times: str) -> None:
    """Record before, meanwhile and afterwards."""
    journal.record(10)
    command = [sys.executable, str(NEIGHBOUR), SPOOL, "hold"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as neighbour:
        assert neighbour.stdout is not None
        neighbour.stdout.readline()
        watch = Stopwatch()
        journal.count("dropped", int(times) - journal.record(int(times)))
        journal.count("waited_ms", watch.ms())
    deadline = Clock.now() + 3
    while not journal.once() and Clock.now() < deadline:
        journal.count("dropped")
        Clock.sleep(0.05)
    journal.count("stored_afterwards", journal.record(10))


if __name__ == "__main__":
    run_host(main)
