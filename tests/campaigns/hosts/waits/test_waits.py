"""Hosts beside other programs on the spool, with real and with frozen clocks: no wait is long, and no file grows."""

import sqlite3
import time
from contextlib import closing

import pytest
from tests.campaigns.hosts.stage import SLOWEST_MS, Stage

CLOCKS = pytest.mark.parametrize("how", ["freezegun", "time-machine"])
ORDERS = pytest.mark.parametrize("order", ["first", "later"])


@CLOCKS
@ORDERS
def test_a_host_with_a_frozen_clock_counts(stage: Stage, how: str, order: str) -> None:
    """With freezegun and time-machine, before and after our import, every event is stored."""
    stage.run("waits.frozen", how, order, 2000)
    totals = stage.audit()
    assert totals.facts["stored"] == 2000
    stage.check_speed(totals)


@CLOCKS
@ORDERS
def test_a_record_under_a_frozen_clock_does_not_wait_for_a_foreign_lock(stage: Stage, how: str, order: str) -> None:
    """No deadline rests on a clock that is stopped: ten records wait far below a second in total."""
    with stage.beside("hold"):
        stage.run("waits.frozen", how, order, 10)
    totals = stage.audit()
    assert totals.facts["stored"] == 0
    assert totals.facts["waited_ms"] <= 500 + stage.stalled_ms
    stage.check_speed(totals)


def test_forty_records_beside_a_held_lock_take_far_below_a_second(stage: Stage) -> None:
    """After a first wait the writer backs off; what it drops is counted as soon as the lock is free."""
    stage.run("waits.locked", 40)
    totals = stage.audit()
    assert totals.facts["waited_ms"] <= 500 + stage.stalled_ms
    assert totals.facts["stored_afterwards"] == 10
    assert totals.stored.dropped == totals.facts["dropped"] >= 40
    stage.check_speed(totals)


def test_a_host_loses_little_of_each_second_while_a_lock_is_held(stage: Stage, in_full: bool) -> None:
    """A hundred records a second, for seconds: at most a fifth of the time is spent in waiting."""
    seconds = 20 if in_full else 4
    with stage.beside("hold"):
        stage.run("waits.patient", 100 * seconds, seconds)
    totals = stage.audit()
    assert totals.facts["stored"] == 0
    assert totals.facts["waited_ms"] <= 200 * seconds + stage.stalled_ms
    stage.check_speed(totals)


@pytest.mark.parametrize("moment", ["made", "written"])
def test_the_first_record_after_another_process_wrote_waits_no_longer(stage: Stage, moment: str) -> None:
    """A spool that was made or written to a moment ago gives a held lock no more time than an old one."""
    stage.run("once", 10)
    if moment == "written":
        time.sleep(2.1)  # the age from which it was never taken for a new one
        with closing(sqlite3.connect(stage.spool)) as connection:
            connection.execute("PRAGMA wal_checkpoint")
    with stage.beside("hold"):
        stage.run("waits.patient", 1, 0)
    totals = stage.audit()
    assert totals.facts["stored"] == 0
    assert totals.facts["waited_ms"] <= SLOWEST_MS + stage.stalled_ms
    stage.check_speed(totals)


def test_a_reader_that_never_ends_does_not_make_the_wal_grow(stage: Stage, in_full: bool) -> None:
    """Beside an open read transaction a loop of records is slowed down in time."""
    seconds, largest_mb = (25, 20) if in_full else (8, 10)
    with stage.beside("read"):
        stage.run("waits.looping", seconds)
    totals = stage.audit()
    assert totals.facts["wal_mb"] < largest_mb
    stage.check_speed(totals)
