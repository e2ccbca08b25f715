"""A prefork server: it records, forks workers that record, and records again.

python -m ... FORKS
"""

from tests.campaigns.hosts.program import Book, descriptors, fork, play, wait


def main(book: Book, forks: str) -> None:
    """Keep three workers at work at a time, as a server with `--max-requests` does."""
    book.record()
    before = descriptors()
    for _ in range(int(forks) // 3):
        book.record(2)
        for pid in [fork(book, lambda: book.record(5)) for _ in range(3)]:
            wait(book, pid)
    book.record()
    book.count("leaked_descriptors", descriptors() - before)


if __name__ == "__main__":
    play(main)
