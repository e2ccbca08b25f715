"""Hosts that fork: nothing raises or hangs, children count too, and a fork takes as long as without us."""

import pytest
from tests.campaigns.hosts.harness import Harness


def test_a_prefork_server_and_its_workers_count_every_event(harness: Harness, in_full: bool) -> None:
    """A master that records before and between its forks loses nothing, and neither do its workers."""
    forks = 2100 if in_full else 150
    harness.run("forks.prefork", forks, timeout_s=600 if in_full else 60)
    totals = harness.audit()
    assert totals.processes == forks + 1
    assert totals.acknowledged > 0.99 * totals.attempted  # three workers open at once: one may find the spool locked
    assert totals.facts["leaked_descriptors"] <= 0
    harness.check_speed(totals)


def test_a_fork_takes_as_long_as_without_us(harness: Harness, in_full: bool) -> None:
    """A fork takes at most half as long again at the median (seen: 1.01 to 1.19)."""
    harness.run("forks.cost", 2000 if in_full else 200, timeout_s=600 if in_full else 60)
    totals = harness.audit()
    facts = totals.facts
    print(f"a fork with us takes {facts['median_ms_with'] / facts['median_ms_without']:.2f} times as long")
    assert facts["median_ms_with"] <= 1.5 * facts["median_ms_without"]
    assert facts["slowest_ms_with"] <= facts["slowest_ms_without"] + 150
    harness.check_speed(totals)


def test_pools_in_threads_work_while_the_host_records(harness: Harness, in_full: bool) -> None:
    """Two threads that use `ProcessPoolExecutor` with forks beside more than 1,001 records see no exception."""
    pools = 240 if in_full else 40
    harness.run("forks.pools", pools, timeout_s=900 if in_full else 60)
    totals = harness.audit()
    assert totals.facts["pools"] == pools
    assert totals.acknowledged > 1001
    harness.check_speed(totals)


@pytest.mark.parametrize("what", ["fold", "upload"])
def test_a_fork_beside_our_own_work_is_fast_and_its_child_counts(harness: Harness, in_full: bool, what: str) -> None:
    """A fork that meets a fold or a look whether an upload is due does not hang, nor does the child's record."""
    harness.environ["DEEPCHECKS_TELEMETRY_ENDPOINT"] = "http://127.0.0.1:9/v1/logs"
    forks = 1500 if in_full else 200
    harness.run("forks.racing", what, forks, timeout_s=600 if in_full else 120)
    totals = harness.audit()
    assert totals.facts["forks"] == forks
    # A fork waits 100 ms for a thread that is inside SQLite; on a slow disk that is not always enough.
    assert totals.facts.get("silent_children", 0) <= 0.01 * forks
    harness.check_speed(totals)


@pytest.mark.parametrize("order", ["first", "later"])
@pytest.mark.parametrize("how", ["gevent", "eventlet"])
def test_greenlets_and_forked_children_of_a_patched_host_count(
    harness: Harness, in_full: bool, how: str, order: str
) -> None:
    """After gevent's or eventlet's `monkey_patch`, beside another writer, greenlets and forked children are counted."""
    forks = 150 if in_full else 20
    with harness.beside("flicker"):
        harness.run("forks.green", how, order, forks, timeout_s=600 if in_full else 120)
    totals = harness.audit()
    assert totals.facts["children"] == forks
    assert totals.facts["silent_children"] <= 0.05 * forks  # those that met the other writer's lock for 80 ms
    assert totals.acknowledged > 0.9 * totals.attempted
    harness.check_speed(totals)
