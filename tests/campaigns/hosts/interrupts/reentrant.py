"""A host that records in a signal handler too, also while it is inside `record()`.

python -m ... SIGNALS
"""

import random
import signal

from tests.campaigns.hosts.program import Journal, run_host


def main(journal: Journal, signals: str) -> None:
    """Record in a loop and in a handler, and measure both."""
    handled: list[bool] = []

    def handle(*_: object) -> None:
        handled.append(journal.once())
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, 0.001), 0.05)  # again, in case CPython misses one

    journal.record(1)
    signal.signal(signal.SIGALRM, handle)
    handle()
    while len(handled) < int(signals):
        journal.once()
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    journal.count("handled", len(handled))
    journal.count("refused_afterwards", 20 - journal.record(20))


if __name__ == "__main__":
    run_host(main)
