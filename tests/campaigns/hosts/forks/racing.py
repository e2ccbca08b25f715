"""Forks while another thread is inside our code.

    python -m ... fold|upload FORKS

`fold`: the thread records all the time, so each 2,500th event folds. `upload`: it asks whether an upload is due.
"""

import random
import threading

from tests.campaigns.hosts.program import Clock, Journal, Stopwatch, fork, run_host, wait


def main(journal: Journal, what: str, forks: str) -> None:
    """Fork at random moments; each child records, and the parent measures its forks."""
    journal.record()
    chance, end = random.Random(1), threading.Event()
    thread = threading.Thread(target={"fold": record, "upload": upload}[what], args=(journal, end))
    thread.start()
    for _ in range(int(forks)):
        Clock.sleep(chance.random() * 0.004)
        watch = Stopwatch()
        pid = fork(journal, lambda: work(journal))
        journal.facts["slowest_fork_ms"] = max(journal.facts.get("slowest_fork_ms", 0.0), watch.ms())
        wait(journal, pid)
        journal.count("forks")
        if journal.facts.get("hung", 0) == 3:
            break  # it is shown
    end.set()
    thread.join()


def work(journal: Journal) -> None:
    """Record in the child; at least one of five must be stored."""
    if journal.record(5) == 0:
        journal.count("silent_children")


def record(journal: Journal, end: threading.Event) -> None:
    """Record until the end."""
    while not end.is_set():
        journal.record(10)


def upload(journal: Journal, end: threading.Event) -> None:
    """Ask until the end; DEEPCHECKS_TELEMETRY_ENDPOINT names where to, so the spool is opened for it."""
    from deepchecks_telemetry.uploader import upload_if_due

    while not end.is_set():
        upload_if_due()
        journal.count("asked")


if __name__ == "__main__":
    run_host(main)
