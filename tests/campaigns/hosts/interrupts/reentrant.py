"""A host that records in a signal handler too, also while it is inside `record()`.

python -m ... SIGNALS
"""

import random
import signal

from tests.campaigns.hosts.program import Book, play


def main(book: Book, signals: str) -> None:
    """Record in a loop and in a handler, and measure both."""
    handled: list[bool] = []

    def handle(*_: object) -> None:
        handled.append(book.once())
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, 0.001))

    book.record(1)
    signal.signal(signal.SIGALRM, handle)
    handle()
    while len(handled) < int(signals):
        book.once()
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    book.count("handled", len(handled))
    book.count("refused_afterwards", 20 - book.record(20))


if __name__ == "__main__":
    play(main)
