"""Raw events become counts and the WAL is truncated, without losing an event."""

import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.db import compaction
from deepchecks_telemetry.spool.db.compaction import checkpoint, compact, fold, wal_bytes
from deepchecks_telemetry.spool.db.connection import connect
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.quarantine import quarantined
from deepchecks_telemetry.spool.stats import read_accounts

Sql = Callable[..., list[Any]]


def run_on_spool(dirs: Home, act: Callable[[sqlite3.Connection], Any]) -> Any:
    with closing(connect(dirs)) as connection:
        return act(connection)


def test_events_of_one_day_and_name_become_one_count(dirs: Home, sql: Sql) -> None:
    for name in ["run-check", "run-suite", "run-check"]:
        assert record(name)
    run_on_spool(dirs, fold)
    assert sorted(sql("SELECT event, count FROM folded")) == [(2, 2), (3, 1)]
    assert sql("SELECT id, day, event, environment FROM events") == [(3, 0, 0, 0)]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no alarms")
def test_a_signal_during_a_fold_reaches_the_host_and_is_not_damage(dirs: Home, sql: Sql) -> None:
    """SQLite calls back while it folds; an exception raised there would be lost, and look like a damaged file."""
    assert record("run-check")
    sql(
        "WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n LIMIT 400000) "
        "INSERT INTO events SELECT i, 20700, 2, 1 FROM n"
    )

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def fold_interrupted(connection: sqlite3.Connection) -> None:
        connection.execute("SELECT count(*) FROM events").fetchone()
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        fold(connection)

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_on_spool(dirs, fold_interrupted)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert quarantined(dirs) == []


def test_ids_continue_and_the_largest_is_the_count_of_all(dirs: Home, sql: Sql) -> None:
    for expected in range(1, 4):
        assert record("run-check")
        run_on_spool(dirs, fold)
        run_on_spool(dirs, fold)
        assert sql("SELECT max(id) FROM events") == [(expected,)]
        assert (read_accounts(dirs).recorded, read_accounts(dirs).pending) == (expected, expected)
    assert sql("SELECT count FROM folded") == [(3,)]


def test_folding_an_empty_spool_changes_nothing(dirs: Home, sql: Sql) -> None:
    assert record("run-check")
    sql("DELETE FROM events")
    run_on_spool(dirs, fold)
    assert sql("SELECT * FROM folded") == []


def test_different_days_events_and_environments_are_counted_separately(dirs: Home, sql: Sql) -> None:
    assert record("run-check")
    sql("DELETE FROM events")
    for day in (1, 1, 2):
        sql("INSERT INTO events (day, event, environment) VALUES (?, 2, 1)", day)
    sql("INSERT INTO events (day, event, environment) VALUES (1, 2, 9)")
    run_on_spool(dirs, fold)
    assert sorted(sql("SELECT * FROM folded")) == [(1, 2, 1, 2), (1, 2, 9, 1), (2, 2, 1, 1)]


def test_a_checkpoint_truncates_the_wal_or_returns_false(dirs: Home) -> None:
    assert record("run-check")
    with closing(sqlite3.connect(dirs.spool, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM events").fetchall()
        assert record("run-check")
        assert run_on_spool(dirs, checkpoint) is False
        reader.execute("ROLLBACK")
    assert run_on_spool(dirs, checkpoint) is True
    assert os.path.getsize(dirs.spool + "-wal") == 0
    assert read_accounts(dirs).pending == 2


def test_after_compaction_the_next_append_overwrites_the_wal(dirs: Home) -> None:
    for _ in range(3):
        assert all(record("run-check") for _ in range(100))
        run_on_spool(dirs, lambda connection: compact(dirs, connection))
    assert 0 < wal_bytes(dirs) < 1.5 * 100 * (512 + 24 + 30)


def test_compaction_truncates_a_large_wal(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "WAL_KEPT_BYTES", 10_000)
    assert all(record("run-check") for _ in range(100))
    assert run_on_spool(dirs, lambda connection: compact(dirs, connection)) is True
    assert wal_bytes(dirs) == 0


def test_compaction_reports_that_a_reader_keeps_a_large_wal(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "WAL_KEPT_BYTES", 0)
    assert record("run-check")
    with closing(sqlite3.connect(dirs.spool, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM events").fetchall()
        assert record("run-check")
        assert run_on_spool(dirs, lambda connection: compact(dirs, connection)) is False


def test_compaction_is_left_to_the_process_with_the_lock(dirs: Home, sql: Sql) -> None:
    assert record("run-check")
    with hold(dirs.lock, 1):
        run_on_spool(dirs, lambda connection: compact(dirs, connection))
        assert sql("SELECT count(*) FROM folded") == [(0,)]
    run_on_spool(dirs, lambda connection: compact(dirs, connection))
    assert sql("SELECT count(*) FROM folded") == [(1,)]


def test_compaction_gives_up_if_another_process_writes_for_long(dirs: Home, sql: Sql) -> None:
    assert record("run-check")
    with closing(sqlite3.connect(dirs.spool, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        run_on_spool(dirs, lambda connection: compact(dirs, connection))
        other.execute("ROLLBACK")
    assert sql("SELECT count(*) FROM folded") == [(0,)]
