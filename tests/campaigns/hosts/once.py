"""The plainest host: it records, and ends.

python -m ... TIMES
"""

from tests.campaigns.hosts.program import Book, play


def main(book: Book, times: str) -> None:
    """Record so many events."""
    book.record(int(times))


if __name__ == "__main__":
    play(main)
