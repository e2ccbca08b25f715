"""Forks while another thread is in the middle of something of ours.

    python -m ... fold|upload FORKS

`fold`: the thread records all the time, so each thousandth event folds. `upload`: it asks whether an upload is due.
"""

import random
import threading

from tests.campaigns.hosts.program import Book, Clock, Stopwatch, fork, play, wait


def main(book: Book, what: str, forks: str) -> None:
    """Fork at random moments; each child records, and the parent measures its forks."""
    book.record()
    chance, end = random.Random(1), threading.Event()
    thread = threading.Thread(target={"fold": record, "upload": upload}[what], args=(book, end))
    thread.start()
    for _ in range(int(forks)):
        Clock.sleep(chance.random() * 0.004)
        watch = Stopwatch()
        pid = fork(book, lambda: work(book))
        book.facts["slowest_fork_ms"] = max(book.facts.get("slowest_fork_ms", 0.0), watch.ms())
        wait(book, pid)
        book.count("forks")
        if book.facts.get("hung", 0) == 3:
            break  # it is shown
    end.set()
    thread.join()


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
