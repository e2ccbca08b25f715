"""`record` in one process: what it stores, what it refuses, and that it reacts to every change of its inputs."""

import os
import shutil
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.spool.stored import stored

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.catalogue import EVENT_NAMES
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.resource import current
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.recording import watch, writer
from deepchecks_telemetry.spool.recording.watch import today
from deepchecks_telemetry.spool.recording.writer import COMPACT_EVERY
from deepchecks_telemetry.spool.stats import read_accounts, read_unsent
from deepchecks_telemetry.spool.wipe import erase

Sql = Callable[..., list[Any]]
SLICE_S = 0.15  # a shared machine can run another process meanwhile
SWITCHES = [
    ("DEEPCHECKS_TELEMETRY", "off"),
    ("DEEPCHECKS_TELEMETRY", "nonsense"),
    ("DO_NOT_TRACK", "1"),
    ("DISABLE_DEEPCHECKS_ANONYMOUS_TELEMETRY", "0"),
    ("DISABLE_LATEST_VERSION_CHECK", "True"),
]


class Unhashable:
    def __hash__(self) -> int:
        raise RuntimeError


@pytest.fixture
def check_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check for changes at every record, not only every few milliseconds."""
    monkeypatch.setattr(watch, "LEASE_S", 0.0)


def test_an_event_is_stored_by_number_day_and_environment(dirs: Home, sql: Sql) -> None:
    day = today()
    for name in EVENT_NAMES.values():
        assert record(name) is True
    found = sql("SELECT day, event FROM events ORDER BY id")
    assert [event for _, event in found] == list(EVENT_NAMES)
    assert {seen for seen, _ in found} <= {day, today()}
    assert {waiting.environment for waiting in read_unsent(dirs)} == {current()}


def test_the_first_record_creates_the_installation_id_and_later_ones_keep_it(dirs: Home) -> None:
    assert record("run-check")
    first = read_accounts(dirs).installation_id
    assert record("run-suite")
    assert first is not None
    assert read_accounts(dirs).installation_id == first


@pytest.mark.parametrize("name", ["", "run", "Run-Check", "run-check ", "x" * 100_000, None, 7, b"run-check", [], 1.5])
def test_an_unknown_name_returns_false_and_creates_nothing(home: Path, name: Any) -> None:
    assert record(name) is False
    assert not home.exists()


def test_a_name_whose_hash_raises_returns_false(home: Path) -> None:
    assert record(Unhashable()) is False  # type: ignore[arg-type]


@pytest.mark.parametrize(("variable", "value"), SWITCHES)
def test_off_returns_false_and_creates_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert record("run-check") is False
    assert not home.exists()


@pytest.mark.parametrize(("variable", "value"), SWITCHES)
def test_a_variable_set_while_the_program_runs_takes_effect(
    dirs: Home, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    for _ in range(3):
        assert record("run-check")
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            assert not record("run-check")
    assert read_accounts(dirs).recorded == 3


def test_local_mode_records(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY", "local")
    assert record("run-check")
    assert read_accounts(dirs).pending == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows a process's open files")
def test_turning_off_and_on_leaves_no_files_open(monkeypatch: pytest.MonkeyPatch) -> None:
    assert record("run-check")
    before = len(os.listdir("/proc/self/fd"))
    for mode in ["off", "on"] * 20:
        monkeypatch.setenv("DEEPCHECKS_TELEMETRY", mode)
        assert record("run-check") is (mode == "on")
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_another_directory_is_another_spool(dirs: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert record("run-check")
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY_DIR", str(tmp_path / "other"))
    assert record("run-check")
    assert (tmp_path / "other" / "state" / "spool.db").exists()
    assert read_accounts(dirs).recorded == 1


def test_threads_store_what_they_acknowledge(dirs: Home) -> None:
    results: list[bool] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        results.extend([record("run-check") for _ in range(100)])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = read_accounts(dirs)
    assert len(results) == 800
    assert (stats.pending, stats.balance) == (results.count(True), 0)


def test_recording_stops_after_disable_and_continues_after_enable(dirs: Home) -> None:
    assert record("run-check")
    first = read_accounts(dirs).installation_id
    erase(dirs)
    assert not record("run-check")
    stats = read_accounts(dirs)
    assert (stats.recorded, stats.installation_id, stored(dirs).closed) == (0, None, True)
    choose(dirs, "on")
    assert record("run-check")
    stats = read_accounts(dirs)
    assert (stats.recorded, stats.pending, stored(dirs).closed) == (1, 1, False)
    assert stats.installation_id not in {first, None}


def test_disable_and_enable_between_two_records_start_an_empty_spool(dirs: Home) -> None:
    """The program has read an environment's id and a fence that both no longer exist."""
    assert record("run-check")
    erase(dirs)
    choose(dirs, "on")
    assert record("run-check")
    assert read_accounts(dirs).recorded == 1
    assert [waiting.environment for waiting in read_unsent(dirs)] == [current()]


def test_the_fence_alone_stops_an_open_connection(dirs: Home, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice was off for a moment in which this process did not check it."""
    monkeypatch.setattr(watch, "LEASE_S", 3600.0)
    assert record("run-check")
    erase(dirs)
    assert not record("run-check")
    assert sql("SELECT count(*) FROM events") == [(0,)]


def test_deleting_the_choice_does_not_undo_disable(dirs: Home) -> None:
    assert record("run-check")
    erase(dirs)
    os.unlink(dirs.mode)
    assert not record("run-check")
    assert read_accounts(dirs).recorded == 0


@pytest.mark.usefixtures("check_each_time")
def test_a_choice_edited_by_hand_takes_effect(dirs: Home) -> None:
    assert record("run-check")
    os.makedirs(dirs.config)
    Path(dirs.mode).write_text("off")
    assert not record("run-check")
    Path(dirs.mode).write_text("on\n")
    assert record("run-check")
    assert read_accounts(dirs).recorded == 2


@pytest.mark.usefixtures("check_each_time")
def test_a_choice_edited_to_on_after_a_disable_opens_the_fence(dirs: Home) -> None:
    assert record("run-check")
    erase(dirs)
    Path(dirs.mode).write_text("local")
    assert record("run-check")
    assert read_accounts(dirs).recorded == 1


@pytest.mark.usefixtures("check_each_time")
def test_a_policy_created_while_the_program_runs_takes_effect(dirs: Home) -> None:
    assert record("run-check")
    os.makedirs(dirs.policy)
    Path(dirs.policy_mode).write_text("off")
    assert not record("run-check")


@pytest.mark.usefixtures("check_each_time")
@pytest.mark.skipif(os.name == "nt", reason="Windows does not remove what is open")
def test_a_directory_removed_while_open_is_created_again(dirs: Home) -> None:
    assert record("run-check")
    shutil.rmtree(dirs.state)
    assert record("run-suite")
    assert [waiting.event for waiting in read_unsent(dirs)] == ["run-suite"]


def test_a_lock_held_too_long_drops_the_event_and_counts_it_later(dirs: Home) -> None:
    assert record("run-check")
    with closing(sqlite3.connect(dirs.spool, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        assert record("run-check") is False
        assert 0.05 <= time.monotonic() - started < writer.DEADLINE_S + SLICE_S
        assert record("run-check") is False
        assert time.monotonic() - started < writer.DEADLINE_S + SLICE_S
        other.execute("ROLLBACK")
    assert record("run-check")
    stats = read_accounts(dirs)
    assert (stats.dropped, stats.pending, stats.recorded, stats.balance) == ({"busy": 2}, 2, 4, 0)


def test_a_reader_does_not_block_recording(dirs: Home) -> None:
    assert record("run-check")
    with closing(sqlite3.connect(dirs.spool, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM events").fetchall()
        assert all(record("run-check") for _ in range(1100))
        reader.execute("ROLLBACK")
    assert read_accounts(dirs).recorded == 1101


def test_thousands_of_events_are_folded_and_the_wal_stays_small(dirs: Home, sql: Sql) -> None:
    longest = 0
    for _ in range(2 * COMPACT_EVERY + 500):
        assert record("run-check")
        longest = max(longest, os.path.getsize(dirs.spool + "-wal"))
    assert longest < 1_600_000  # it is used again from its beginning after each fold
    assert sql("SELECT count(*) FROM events") == [(501,)]
    stats = read_accounts(dirs)
    assert (stats.recorded, stats.pending, stats.balance) == (2 * COMPACT_EVERY + 500, 2 * COMPACT_EVERY + 500, 0)


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (0.0, 20454),
        (-1.0, 20454),
        (1767225599.9, 20454),
        (1767225600.0, 20454),
        (1767311999.9, 20454),
        (1767312000.0, 20455),
    ],
)
def test_a_day_is_a_utc_day_not_before_2026(now: float, day: int) -> None:
    assert today(lambda: now) == day


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
def test_only_this_user_can_read_the_spool_whatever_the_umask(dirs: Home) -> None:
    before = os.umask(0)
    try:
        assert record("run-check")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in Path(dirs.state).iterdir()}
    assert set(modes.values()) == {0o600}, modes
    assert stat.S_IMODE(os.stat(dirs.state).st_mode) == 0o700


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
def test_a_directory_that_is_a_link_is_refused(dirs: Home, tmp_path: Path) -> None:
    os.makedirs(os.path.dirname(dirs.state))
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", dirs.state)
    assert not record("run-check")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_an_opening_that_a_lock_interrupted_starts_again(dirs: Home, run: Callable[..., str], sql: Sql) -> None:
    """A partially opened session would append with an environment, an epoch and a choice that it never read."""
    run("from deepchecks_telemetry.spool import record; assert record('run-check')", CI="1")
    with closing(sqlite3.connect(dirs.spool, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert not record("run-suite")
        other.execute("ROLLBACK")
    assert record("run-suite")
    assert current() in [waiting.environment for waiting in read_unsent(dirs)]
    assert sql("SELECT count(*) FROM events WHERE environment NOT IN (SELECT id FROM environments)") == [(0,)]
    assert (read_accounts(dirs).dropped, read_accounts(dirs).balance) == ({"busy": 1}, 0)
