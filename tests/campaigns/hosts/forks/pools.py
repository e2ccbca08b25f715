"""Threads that each use process pools with the fork context, while the host goes on recording.

python -m ... POOLS
"""

import multiprocessing
import threading
import traceback
from concurrent.futures import ProcessPoolExecutor

from tests.campaigns.hosts.program import Clock, Journal, run_host

THREADS = 2
journal = Journal()


def main(_: Journal, pools: str) -> None:
    """Start and end pools in two threads; record more than the 1,001 events after which a fold takes locks."""
    journal.record(1001)
    threads = [threading.Thread(target=use_pools, args=(int(pools) // THREADS,)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        journal.record(20)
        Clock.sleep(0.001)
    journal.write()


def use_pools(count: int) -> None:
    """One pool after the other."""
    for _ in range(count):
        try:
            with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
                assert list(pool.map(work, range(4), timeout=30)) == [0, 1, 2, 3]
            journal.count("pools")
        except Exception:  # noqa: BLE001 - whatever it is, the test counts it
            journal.failures.append(traceback.format_exc())


def work(number: int) -> int:
    """Record in a worker."""
    journal.record(2)
    journal.write()
    return number


if __name__ == "__main__":
    run_host(main)
