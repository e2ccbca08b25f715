"""Hosts in containers: as PID 1, as a subreaper, and two that share a home."""

import os
import sqlite3
from contextlib import closing

import pytest
from tests.campaigns.hosts.harness import Harness
from tests.campaigns.hosts.oracle import tables

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a PID namespace")
CONTAINER = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")

TWICE = ("sh", "-c", '"$@" & one=$!; "$@" & other=$!; wait $one && wait $other', "sh")


@pytest.fixture
def due(harness: Harness) -> Harness:
    """A harness whose spool has events, and an upload that is due, to a port where nobody listens."""
    harness.run("once", 5)
    with closing(sqlite3.connect(harness.spool, isolation_level=None)) as connection:
        (table,) = [name for name, columns in tables(connection).items() if "next_upload" in columns]
        connection.execute(f"UPDATE {table} SET next_upload = 1")
    harness.environ["DEEPCHECKS_TELEMETRY_ENDPOINT"] = "http://127.0.0.1:9/v1/logs"
    return harness


def test_an_ordinary_host_starts_the_uploader_and_never_waits_for_it(due: Harness) -> None:
    """The control of the next test: here an upload is tried, by a process that is not the host's child."""
    due.run("containers.first", "ordinary")
    totals = due.audit()
    assert totals.stored.attempts == 1
    assert (totals.facts["own_children"], totals.facts["foreign_children"], totals.facts["zombies"]) == (3, 0, 0)
    due.check_speed(totals)


@pytest.mark.parametrize("what", ["first", "subreaper"])
def test_a_host_that_has_to_reap_never_meets_a_child_of_ours(due: Harness, what: str) -> None:
    """As PID 1 of a container and as a subreaper: `os.wait()` returns the host's own children only."""
    due.run("containers.first", what, before=CONTAINER if what == "first" else ())
    totals = due.audit()
    assert (totals.facts["own_children"], totals.facts["foreign_children"], totals.facts["zombies"]) == (3, 0, 0)
    due.check_speed(totals)


def test_two_containers_with_one_home_do_not_collide(harness: Harness, in_full: bool) -> None:
    """Both are PID 1: each command that writes the choice succeeds, and what each acknowledged is stored."""
    times = 300 if in_full else 60
    harness.run("containers.shared", times, before=(*TWICE, *CONTAINER), talks=True)
    totals = harness.audit()
    assert totals.facts["commands"] == 2 * times
    assert totals.facts["failed_commands"] == 0
    assert totals.acknowledged > 0.9 * totals.attempted
    harness.check_speed(totals)
