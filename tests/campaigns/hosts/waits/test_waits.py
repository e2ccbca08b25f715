"""Hosts beside other programs on the spool, with real and with frozen clocks: no wait is long, and no file grows."""

import sqlite3
import time
from contextlib import closing

import pytest
from tests.campaigns.hosts.harness import SLOWEST_MS, Harness

CLOCKS = pytest.mark.parametrize("how", ["freezegun", "time-machine"])
ORDERS = pytest.mark.parametrize("order", ["first", "later"])


@CLOCKS
@ORDERS
def test_a_host_with_a_frozen_clock_counts(harness: Harness, how: str, order: str) -> None:
    """With freezegun and time-machine, before and after our import, every event is stored."""
    harness.run("waits.frozen", how, order, 2000)
    totals = harness.audit()
    assert totals.facts["stored"] == 2000
    harness.check_speed(totals)


@CLOCKS
@ORDERS
def test_a_record_under_a_frozen_clock_does_not_wait_for_a_foreign_lock(harness: Harness, how: str, order: str) -> None:
    """No deadline rests on a clock that is stopped: ten records wait far below a second in total."""
    with harness.beside("hold"):
        harness.run("waits.frozen", how, order, 10)
    totals = harness.audit()
    assert totals.facts["stored"] == 0
    assert totals.facts["waited_ms"] <= 500 + harness.stalled_ms
    harness.check_speed(totals)


def test_forty_records_beside_a_held_lock_take_far_below_a_second(harness: Harness) -> None:
    """After a first wait the writer backs off; what it drops is counted as soon as the lock is free."""
    harness.run("waits.locked", 40)
    totals = harness.audit()
    assert totals.facts["waited_ms"] <= 500 + harness.stalled_ms
    assert totals.facts["stored_afterwards"] == 10
    assert totals.stored.dropped == totals.facts["dropped"] >= 40
    harness.check_speed(totals)


def test_a_host_loses_little_of_each_second_while_a_lock_is_held(harness: Harness, in_full: bool) -> None:
    """A hundred records a second, for seconds: at most a fifth of the time is spent in waiting."""
    seconds = 20 if in_full else 4
    with harness.beside("hold"):
        harness.run("waits.patient", 100 * seconds, seconds)
    totals = harness.audit()
    assert totals.facts["stored"] == 0
    assert totals.facts["waited_ms"] <= 200 * seconds + harness.stalled_ms
    harness.check_speed(totals)


@pytest.mark.parametrize("moment", ["made", "written"])
def test_the_first_record_after_another_process_wrote_waits_no_longer(harness: Harness, moment: str) -> None:
    """A spool that was made or written to a moment ago gives a held lock no more time than an old one."""
    harness.run("once", 10)
    if moment == "written":
        time.sleep(2.1)  # the age from which it was never taken for a new one
        with closing(sqlite3.connect(harness.spool)) as connection:
            connection.execute("PRAGMA wal_checkpoint")
    with harness.beside("hold"):
        harness.run("waits.patient", 1, 0)
    totals = harness.audit()
    assert totals.facts["stored"] == 0
    assert totals.facts["waited_ms"] <= SLOWEST_MS + harness.stalled_ms
    harness.check_speed(totals)


def test_a_reader_that_never_ends_does_not_make_the_wal_grow(harness: Harness, in_full: bool) -> None:
    """Beside an open read transaction a loop of records is slowed down in time."""
    seconds, largest_mb = (25, 20) if in_full else (8, 10)
    with harness.beside("read"):
        harness.run("waits.looping", seconds)
    totals = harness.audit()
    assert totals.facts["wal_mb"] < largest_mb
    harness.check_speed(totals)
