"""A host that records while another program may hold the spool.

    python -m ... TIMES SECONDS

It records so many events, evenly over so many seconds, and measures how long it was kept in `record()` altogether.
"""

from tests.campaigns.hosts.program import Book, play


def main(book: Book, times: str, seconds: str) -> None:
    """Record and rest in turn."""
    waited_s = 0.0
    stored = 0
    for _ in range(int(times)):
        begun = book.clock()
        stored += book.once()
        waited_s += book.clock() - begun
        book.sleep(float(seconds) / int(times))
    book.count("waited_ms", waited_s * 1000)
    book.count("stored", stored)


if __name__ == "__main__":
    play(main)
