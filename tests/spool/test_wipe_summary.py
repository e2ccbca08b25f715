"""What `disable` returns about removed files, and what it does without a spool that can be wiped."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.spool import record, wipe
from deepchecks_telemetry.spool.batches.export_files import Export
from deepchecks_telemetry.spool.batches.exports import register_export
from deepchecks_telemetry.spool.batches.ledger import Disposition, batches, mark_attempt, settle
from deepchecks_telemetry.spool.batches.seal import Row, seal
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.db import emptying
from deepchecks_telemetry.spool.errors import Busy, Unusable
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.quarantine import LEASE_S
from deepchecks_telemetry.spool.files.residue import find_residue
from deepchecks_telemetry.spool.states import BatchState
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.spool.wipe import erase
from deepchecks_telemetry.uploader.wire import http

Sql = Callable[..., list[Any]]
Render = Callable[[str, list[Row]], bytes]
LOCK = {"spool.lock"}  # on Windows filelock removes it


def test_the_markers_are_uids_digests_and_the_installation_id(dirs: Home, render: Render, sql: Sql) -> None:
    assert record("run-check")
    assert record("run-suite")
    assert seal(dirs, render)
    sql("UPDATE rows SET uid = x'ff00fe' WHERE event = 2")
    ((uid,),) = sql("SELECT uid FROM rows WHERE event = 3")
    wanted = [read_accounts(dirs).installation_id, uid, batches(dirs)[0].sha256]
    assert sorted(erase(dirs).markers) == sorted([b"\xff\x00\xfe", *(str(word).encode() for word in wanted)])
    assert erase(dirs).markers == ()


def test_each_receiver_is_listed_once_but_not_one_that_only_refused(dirs: Home, render: Render) -> None:
    tries = [("b", "delivered"), ("c", "parked"), ("a", "rejected"), ("b", "delivered"), ("", "delivered")]
    for where, state in tries:
        assert record("run-check")
        assert seal(dirs, render)
        batch = batches(dirs, states=("sealed",))[0]
        assert mark_attempt(dirs, batch, where)
        assert settle(dirs, batch, Disposition(BatchState(state), "a test"))
    assert erase(dirs).receivers == ("a", "b")


def test_a_wiped_settings_row_is_new_except_for_the_fence(dirs: Home, sql: Sql) -> None:
    assert record("run-check")
    for epoch in (0, 2):
        choose(dirs, "on")
        sql(
            "UPDATE spool SET installation = 'x', installed_day = 1, next_upload = 2, retry_after = 3, failures = 4, "
            "endpoint = 'https://collector.example.org'"
        )
        erase(dirs)
        assert sql("SELECT * FROM spool") == [(1, epoch + 1, None, None, None, None, 0, None)]


def test_removed_files_inside_and_outside_are_counted_together(dirs: Home, render: Render, tmp_path: Path) -> None:
    assert record("run-check")
    assert seal(dirs, render)
    part = tmp_path / "carried.0123456789ab.part"
    part.write_bytes(b"run-check")
    assert register_export(dirs, Export(str(tmp_path / "carried"), str(part), "0" * 64))
    for name in ("spool.db.new", "spool.db.damaged-1"):
        Path(dirs.state, name).write_bytes(b"run-check")
    erased = erase(dirs)
    assert (len(erased.removed), erased.exports_left) == (3, (str(tmp_path / "carried"),))


def test_without_a_spool_only_its_copies_are_removed(dirs: Home) -> None:
    os.makedirs(dirs.state, mode=0o700)
    for name in ("spool.db-wal", "spool.db.damaged-1", "notes"):
        Path(dirs.state, name).write_bytes(b"run-check")
    assert len(erase(dirs).removed) == 2
    assert {*os.listdir(dirs.state)} - LOCK == {"notes"}


@pytest.mark.skipif(os.name != "posix", reason="Windows lets not everybody make links")
def test_a_directory_in_the_state_directory_stays_but_a_link_is_removed(dirs: Home, tmp_path: Path) -> None:
    assert record("run-check")
    inside, outside, link = Path(dirs.state, "inside"), tmp_path / "outside", Path(dirs.state, "link")
    inside.mkdir()
    outside.mkdir()
    link.symlink_to(outside)
    assert erase(dirs).before.recorded == 1
    assert (inside.is_dir(), outside.is_dir(), os.path.lexists(link)) == (True, True, False)


@pytest.mark.skipif(os.name != "posix", reason="Windows lets not everybody make links")
def test_nothing_is_removed_from_another_users_directory(dirs: Home, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "link").symlink_to(tmp_path)
    choose(dirs, "on")
    os.symlink(theirs, dirs.state)
    with pytest.raises(Unusable):
        erase(dirs)
    assert (theirs / "link").is_symlink()


@pytest.mark.skipif(os.name == "nt", reason="Windows does not remove an open file: see recovery/test_replaced.py")
def test_a_spool_of_a_newer_version_is_removed_completely(dirs: Home, sql: Sql) -> None:
    assert record("run-check")
    sql("PRAGMA user_version = 999999")
    assert len(erase(dirs).removed) == 3  # the database, its WAL and the WAL's index
    assert not [name for name in os.listdir(dirs.state) if name.startswith("spool.db")]


def test_copies_are_only_removed_under_the_lock(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wipe, "BUSY_TIMEOUT_S", 0.05)
    os.makedirs(dirs.state, mode=0o700)
    Path(dirs.spool + ".damaged-1").write_bytes(b"run-check")
    with hold(dirs.lock, 1), pytest.raises(Busy):
        erase(dirs)
    assert os.path.exists(dirs.spool + ".damaged-1")


def test_after_removing_a_spool_disable_waits_until_hosts_notice(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[tuple[float, list[str]]] = []
    monkeypatch.setattr(time, "sleep", lambda seconds: naps.append((seconds, os.listdir(dirs.state))))
    os.makedirs(dirs.state, mode=0o700)
    Path(dirs.spool).write_bytes(b"no database, run-check")
    erase(dirs)
    ((seconds, left),) = naps
    assert 2 * LEASE_S <= seconds < 0.1
    assert {*left} == LOCK


@pytest.mark.skipif(os.name != "posix", reason="Windows lets not everybody make links")
def test_the_target_of_a_link_is_not_residue(dirs: Home, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes(b"run-check")
    os.makedirs(dirs.config, mode=0o700)
    os.symlink(tmp_path / "theirs", os.path.join(dirs.config, "link"))
    assert find_residue(dirs) == (1, [])


def test_files_are_searched_as_bytes(dirs: Home) -> None:
    os.makedirs(dirs.state, mode=0o700)
    Path(dirs.state, "spool.lock").write_bytes(b"\xff\xfe\x00")
    assert find_residue(dirs, [b"\x00"]) == (1, [dirs.lock])


def test_disable_waits_longer_than_an_upload_can_take() -> None:
    assert http.DEADLINE_S < wipe.UPLOAD_WAIT_S <= 60


def test_disable_waits_seconds_not_minutes_for_a_reader() -> None:
    assert 1 <= emptying.READERS_WAIT_S <= 20
