"""Hosts that give work to other processes or interpreters: all of them count, and nothing raises or hangs."""

import pytest
from tests.campaigns.hosts.harness import Harness


def test_celery_and_its_prefork_workers_count(harness: Harness, in_full: bool) -> None:
    """A Celery worker whose application recorded before it forks its processes, and replaces them after five tasks."""
    tasks = 200 if in_full else 20
    harness.run("workers.queued", tasks, talks=True, timeout_s=120)
    totals = harness.audit()
    assert (totals.facts["tasks"], totals.facts["status"]) == (tasks, 0)
    assert totals.acknowledged > 0.95 * totals.attempted
    harness.check_speed(totals)


@pytest.mark.parametrize("how", ["loky", "dask", "spawn", "fork", "forkserver"])
def test_a_pool_of_processes_and_its_owner_count(harness: Harness, in_full: bool, how: str) -> None:
    """joblib's loky, a Dask cluster, and multiprocessing's three ways to start a worker."""
    tasks = 400 if in_full else 16
    harness.run("workers.pooled", how, tasks, timeout_s=300)
    totals = harness.audit()
    assert totals.facts["tasks"] == tasks
    assert totals.facts["silent_tasks"] == 0
    assert totals.acknowledged > 0.5 * totals.attempted  # a worker that met a lock for 80 ms backs off for a second
    harness.check_speed(totals)


def test_a_host_with_subinterpreters_records_in_its_main_interpreter(harness: Harness, in_full: bool) -> None:
    """All that the main interpreter records is stored; in one or two others beside it `record()` is False."""
    rounds = 20 if in_full else 4
    harness.run("workers.interpreters", rounds)
    totals = harness.audit()
    assert totals.facts.get("interpreters", 0) in (0, totals.facts["wanted"])  # not every Python loads sqlite3 there
    assert totals.facts.get("stored_by_subinterpreters", 0) == 0
    assert totals.acknowledged == 5 * (rounds + 2)
    harness.check_speed(totals)
