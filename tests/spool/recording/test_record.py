"""`record` in one process: what it stores, what it refuses, and that it follows every change around it."""

import os
import shutil
import sqlite3
import stat
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.catalogue import EVENT_NAMES
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.resource import current
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.recording import watch, writer
from deepchecks_telemetry.spool.recording.watch import today
from deepchecks_telemetry.spool.stats import read_accounts, read_unsent
from deepchecks_telemetry.spool.wipe import erase

Sql = Callable[..., list[Any]]
SLICE_S = 0.15  # a machine that is shared gives another process its turn
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
def attentive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at every record whether something was changed by hand, not only every few milliseconds."""
    monkeypatch.setattr(watch, "LEASE_S", 0.0)


def test_an_event_is_stored_by_number_day_and_environment(ours: Home, sql: Sql) -> None:
    day = today()
    for name in EVENT_NAMES.values():
        assert record(name) is True
    found = sql("SELECT day, event FROM events ORDER BY id")
    assert [event for _, event in found] == list(EVENT_NAMES)
    assert {seen for seen, _ in found} <= {day, today()}
    assert {waiting.environment for waiting in read_unsent(ours)} == {current()}


def test_the_first_record_creates_the_installation_id_and_later_ones_keep_it(ours: Home) -> None:
    assert record("run-check")
    first = read_accounts(ours).installation_id
    assert record("run-suite")
    assert first is not None
    assert read_accounts(ours).installation_id == first


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
    ours: Home, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    for _ in range(3):
        assert record("run-check")
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            assert not record("run-check")
    assert read_accounts(ours).recorded == 3


def test_local_mode_records(ours: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY", "local")
    assert record("run-check")
    assert read_accounts(ours).pending == 1


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="only Linux shows a process's open files")
def test_turning_off_and_on_leaves_no_files_open(monkeypatch: pytest.MonkeyPatch) -> None:
    assert record("run-check")
    before = len(os.listdir("/proc/self/fd"))
    for mode in ["off", "on"] * 20:
        monkeypatch.setenv("DEEPCHECKS_TELEMETRY", mode)
        assert record("run-check") is (mode == "on")
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_another_directory_is_another_spool(ours: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert record("run-check")
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY_DIR", str(tmp_path / "other"))
    assert record("run-check")
    assert (tmp_path / "other" / "state" / "spool.db").exists()
    assert read_accounts(ours).recorded == 1


def test_threads_store_what_they_acknowledge(ours: Home) -> None:
    told: list[bool] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        told.extend([record("run-check") for _ in range(100)])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    books = read_accounts(ours)
    assert len(told) == 800
    assert (books.pending, books.balance) == (told.count(True), 0)


def test_recording_stops_after_disable_and_continues_after_enable(ours: Home) -> None:
    assert record("run-check")
    first = read_accounts(ours).installation_id
    erase(ours)
    assert not record("run-check")
    books = read_accounts(ours)
    assert (books.recorded, books.installation_id, books.closed) == (0, None, True)
    choose(ours, "on")
    assert record("run-check")
    books = read_accounts(ours)
    assert (books.recorded, books.pending, books.closed) == (1, 1, False)
    assert books.installation_id not in {first, None}


def test_disable_and_enable_between_two_records_start_an_empty_spool(ours: Home) -> None:
    """The program knows an environment's number and a fence that are both gone."""
    assert record("run-check")
    erase(ours)
    choose(ours, "on")
    assert record("run-check")
    assert read_accounts(ours).recorded == 1
    assert [waiting.environment for waiting in read_unsent(ours)] == [current()]


def test_the_fence_alone_stops_an_open_connection(ours: Home, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice was off for a moment that this process did not look at."""
    monkeypatch.setattr(watch, "LEASE_S", 3600.0)
    assert record("run-check")
    erase(ours)
    assert not record("run-check")
    assert sql("SELECT count(*) FROM events") == [(0,)]


def test_deleting_the_choice_does_not_undo_disable(ours: Home) -> None:
    assert record("run-check")
    erase(ours)
    os.unlink(ours.mode)
    assert not record("run-check")
    assert read_accounts(ours).recorded == 0


@pytest.mark.usefixtures("attentive")
def test_a_choice_edited_by_hand_takes_effect(ours: Home) -> None:
    assert record("run-check")
    os.makedirs(ours.config)
    Path(ours.mode).write_text("off")
    assert not record("run-check")
    Path(ours.mode).write_text("on\n")
    assert record("run-check")
    assert read_accounts(ours).recorded == 2


@pytest.mark.usefixtures("attentive")
def test_a_choice_edited_to_on_after_a_disable_opens_the_fence(ours: Home) -> None:
    assert record("run-check")
    erase(ours)
    Path(ours.mode).write_text("local")
    assert record("run-check")
    assert read_accounts(ours).recorded == 1


@pytest.mark.usefixtures("attentive")
def test_a_policy_created_while_the_program_runs_takes_effect(ours: Home) -> None:
    assert record("run-check")
    os.makedirs(ours.policy)
    Path(ours.policy_mode).write_text("off")
    assert not record("run-check")


@pytest.mark.usefixtures("attentive")
@pytest.mark.skipif(os.name == "nt", reason="Windows does not remove what is open")
def test_a_directory_removed_while_open_is_created_again(ours: Home) -> None:
    assert record("run-check")
    shutil.rmtree(ours.state)
    assert record("run-suite")
    assert [waiting.event for waiting in read_unsent(ours)] == ["run-suite"]


def test_a_lock_held_too_long_drops_the_event_and_counts_it_later(ours: Home) -> None:
    assert record("run-check")
    with closing(sqlite3.connect(ours.spool, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        assert record("run-check") is False
        assert 0.05 <= time.monotonic() - started < writer.DEADLINE_S + SLICE_S
        assert record("run-check") is False
        assert time.monotonic() - started < writer.DEADLINE_S + SLICE_S
        other.execute("ROLLBACK")
    assert record("run-check")
    books = read_accounts(ours)
    assert (books.dropped, books.pending, books.recorded, books.balance) == ({"busy": 2}, 2, 4, 0)


def test_a_reader_does_not_block_recording(ours: Home) -> None:
    assert record("run-check")
    with closing(sqlite3.connect(ours.spool, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM events").fetchall()
        assert all(record("run-check") for _ in range(1100))
        reader.execute("ROLLBACK")
    assert read_accounts(ours).recorded == 1101


def test_thousands_of_events_are_folded_and_the_wal_stays_small(ours: Home, sql: Sql) -> None:
    longest = 0
    for _ in range(3500):
        assert record("run-check")
        longest = max(longest, os.path.getsize(ours.spool + "-wal"))
    assert longest < 4_000_000
    assert sql("SELECT count(*) < 1000 FROM events") == [(1,)]
    books = read_accounts(ours)
    assert (books.recorded, books.pending, books.balance) == (3500, 3500, 0)


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
def test_only_this_user_can_read_the_spool_whatever_the_umask(ours: Home) -> None:
    before = os.umask(0)
    try:
        assert record("run-check")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in Path(ours.state).iterdir()}
    assert set(modes.values()) == {0o600}, modes
    assert stat.S_IMODE(os.stat(ours.state).st_mode) == 0o700


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
def test_a_directory_that_is_a_link_is_refused(ours: Home, tmp_path: Path) -> None:
    os.makedirs(os.path.dirname(ours.state))
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", ours.state)
    assert not record("run-check")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_an_opening_that_a_lock_interrupted_starts_again(ours: Home, run: Callable[..., str], sql: Sql) -> None:
    """Half opened, it would append with an environment, an epoch and a choice that it never read."""
    run("from deepchecks_telemetry.spool import record; assert record('run-check')", CI="1")
    with closing(sqlite3.connect(ours.spool, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert not record("run-suite")
        other.execute("ROLLBACK")
    assert record("run-suite")
    assert current() in [waiting.environment for waiting in read_unsent(ours)]
    assert sql("SELECT count(*) FROM events WHERE environment NOT IN (SELECT id FROM environments)") == [(0,)]
    assert (read_accounts(ours).dropped, read_accounts(ours).balance) == ({"busy": 1}, 0)
