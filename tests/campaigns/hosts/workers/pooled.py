"""A host that gives its work to a pool of processes, and counts itself before, meanwhile and afterwards.

python -m ... loky|dask|spawn|fork|forkserver TASKS
"""

import multiprocessing
from collections.abc import Iterable
from importlib import import_module

from tests.campaigns.hosts.program import Clock, Journal, run_host

BACKOFF_S = 1.0  # of spool/recording/writer.py, which is not imported before the first record
journal = Journal()


def main(_: Journal, how: str, tasks: str) -> None:
    """Record, let the pool record, record again."""
    journal.record(5)
    numbers = range(int(tasks))
    assert run(how, numbers) == [*numbers]
    journal.record(5)
    journal.facts["tasks"] = len(numbers)
    journal.write()


def run(how: str, numbers: Iterable[int]) -> list[int]:
    """Give each number to a worker."""
    if how == "loky":
        return run_in_loky(numbers)
    if how == "dask":
        return run_in_dask(numbers)
    return run_in_pool(how, numbers)


def run_in_loky(numbers: Iterable[int]) -> list[int]:
    """By joblib, whose workers import this module under its own name."""
    joblib, pooled = import_module("joblib"), import_module("tests.campaigns.hosts.workers.pooled")
    return list(joblib.Parallel(n_jobs=2)(joblib.delayed(pooled.work)(number) for number in numbers))


def run_in_dask(numbers: Iterable[int]) -> list[int]:
    """By a cluster of two workers on this machine, each with two threads."""
    dask, pooled = import_module("dask.distributed"), import_module("tests.campaigns.hosts.workers.pooled")
    with (
        dask.LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None, host="127.0.0.1") as cluster,
        dask.Client(cluster) as client,
    ):
        return list(client.gather(client.map(pooled.work, numbers, pure=False)))


def run_in_pool(how: str, numbers: Iterable[int]) -> list[int]:
    """By multiprocessing, with workers that are replaced after some tasks."""
    with multiprocessing.get_context(how).Pool(2, maxtasksperchild=4) as pool:
        found = list(pool.imap(work, numbers))
        pool.close()
        pool.join()
        return found


def work(number: int) -> int:
    """Record in a worker; at least one of five must be stored, or of five more after a back-off of a second."""
    stored = journal.record(5)
    if not stored:
        Clock.sleep(BACKOFF_S + 0.1)
        stored = journal.record(5)
    journal.count("silent_tasks", stored == 0)
    journal.write()
    return number


if __name__ == "__main__":
    run_host(main)
