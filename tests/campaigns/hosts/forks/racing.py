"""Forks while another thread is in the middle of something of ours.

    python -m ... fold|upload FORKS

`fold`: the thread records all the time, so each thousandth event folds. `upload`: it asks whether an upload is due.
"""

import random
import threading

from tests.campaigns.hosts.program import Book, fork, play, wait


def main(book: Book, what: str, forks: str) -> None:
    """Fork at random moments; each child records, and the parent measures its forks."""
    book.record()
    chance, end = random.Random(1), threading.Event()
    thread = threading.Thread(target={"fold": record, "upload": upload}[what], args=(book, end))
    thread.start()
    slowest_s = 0.0
    for _ in range(int(forks)):
        book.sleep(chance.random() * 0.004)
        begun = book.clock()
        pid = fork(book, lambda: work(book))
        slowest_s = max(slowest_s, book.clock() - begun)
        wait(book, pid)
    end.set()
    thread.join()
    book.count("slowest_fork_ms", slowest_s * 1000)
    book.count("forks", int(forks))


def work(book: Book) -> None:
    """Record in the child; at least one of five must be stored."""
    if book.record(5) == 0:
        book.count("silent_children")


def record(book: Book, end: threading.Event) -> None:
    """Record until the end."""
    while not end.is_set():
        book.record(10)


def upload(book: Book, end: threading.Event) -> None:
    """Ask until the end; DEEPCHECKS_TELEMETRY_ENDPOINT names where to, so the spool is opened for it."""
    from deepchecks_telemetry.uploader import upload_if_due

    while not end.is_set():
        upload_if_due()
        book.count("asked")


if __name__ == "__main__":
    play(main)
