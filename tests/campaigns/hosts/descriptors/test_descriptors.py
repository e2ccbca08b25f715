"""Hosts that close descriptors which are not theirs: none of their own files is ever written to by us."""

import os

import pytest
from tests.campaigns.hosts.harness import Harness

CONTAINER = ("unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", '"$@"; exit $?', "sh")


def check(harness: Harness, hosts: int, *, all_stored: bool = True) -> None:
    totals = harness.audit()
    assert totals.facts["files"] >= 8 * hosts
    assert totals.facts["foreign_bytes"] == 0
    assert totals.acknowledged == totals.attempted or not all_stored  # nobody else is at work
    harness.check_speed(totals)


@pytest.mark.parametrize("mode", ["all", "limit", "many", "partial"])
def test_a_host_that_closed_our_descriptors_finds_its_files_as_it_wrote_them(
    harness: Harness, in_full: bool, mode: str
) -> None:
    """After `os.closerange` no byte of ours is in a file that took one of our numbers, and every event is stored.

    With `many` files none of our numbers is left to us, and SQLite cannot use the spool in that process any more.
    """
    hosts = 70 if in_full else 6
    for number in range(hosts):
        harness.run("descriptors.closing", mode, number)
    check(harness, hosts, all_stored=mode != "many")


@pytest.mark.parametrize("mode", ["detached", "in-place", "as-it-is"])
def test_a_daemon_of_python_daemon_finds_its_files_as_it_wrote_them(harness: Harness, in_full: bool, mode: str) -> None:
    """A `DaemonContext` closes all descriptors, with and without a fork: no byte of ours is in the daemon's files."""
    hosts = 70 if in_full else 6
    for _ in range(hosts):
        harness.run("descriptors.daemonised", mode)
    check(harness, hosts)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a PID namespace")
def test_a_daemon_in_a_container_finds_its_files_as_it_wrote_them(harness: Harness, in_full: bool) -> None:
    """Where its parent is PID 1, a `DaemonContext` in its defaults closes all descriptors of the same process."""
    hosts = 70 if in_full else 6
    for _ in range(hosts):
        harness.run("descriptors.daemonised", "as-it-is", before=CONTAINER)
    check(harness, hosts)
