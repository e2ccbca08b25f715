"""A host that has recorded before another program takes the lock, and goes on while it is held and afterwards.

python -m ... TIMES
"""

import os
import subprocess
import sys
from pathlib import Path

from tests.campaigns.hosts.program import Book, Clock, Stopwatch, play

NEIGHBOUR = Path(__file__).parents[1] / "neighbour.py"
SPOOL = os.path.join(os.environ["DEEPCHECKS_TELEMETRY_DIR"], "state", "spool.db")


def main(book: Book, times: str) -> None:
    """Record before, meanwhile and afterwards."""
    book.record(10)
    command = [sys.executable, str(NEIGHBOUR), SPOOL, "hold"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as neighbour:
        assert neighbour.stdout is not None
        neighbour.stdout.readline()
        watch = Stopwatch()
        book.count("dropped", int(times) - book.record(int(times)))
        book.count("waited_ms", watch.ms())
    deadline = Clock.now() + 3
    while not book.once() and Clock.now() < deadline:
        book.count("dropped")
        Clock.sleep(0.05)
    book.count("stored_afterwards", book.record(10))


if __name__ == "__main__":
    play(main)
