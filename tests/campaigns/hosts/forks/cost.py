"""Measures forks in a host that records before each of them, and in one that has nothing of ours.

python -m ... with|without FORKS
"""

import os
import statistics

from tests.campaigns.hosts.program import Book, Clock, play


def main(book: Book, how: str, forks: str) -> None:
    """Fork, wait, and report the slowest, and the quickest tenth, which another program on the machine delays least."""
    times_ms = [fork_ms(book, with_us=how == "with") for _ in range(int(forks))]
    book.count(f"quick_ms_{how}", statistics.quantiles(times_ms, n=10)[0])
    book.count(f"slowest_ms_{how}", max(times_ms))


def fork_ms(book: Book, *, with_us: bool) -> float:
    """How long a fork and the end of its child take."""
    if with_us:
        book.record(3)
    begun = Clock.now()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return (Clock.now() - begun) * 1000


if __name__ == "__main__":
    play(main)
