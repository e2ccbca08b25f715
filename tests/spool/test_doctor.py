"""`examine`: each finding is shown by its real cause, and a sound spool has none but notes."""

import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.spool import doctor as health
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.doctor import OK, WARNING, WRONG, Finding, examine
from deepchecks_telemetry.spool.files import directory as ground_
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.quarantine import identity, put_aside

Run = Callable[..., str]
Sql = Callable[..., list[Any]]
posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
RECORD = "import os; from deepchecks_telemetry.spool import record; assert record('run-check'); os._exit(0)"


def look(ours: Home, **options: Any) -> dict[str, Finding]:
    found = examine(ours, **options)
    names = [finding.name for finding in found]
    assert len(set(names)) == len(names)
    for finding in found:
        assert "\n" not in finding.text
        assert finding.level != WRONG or finding.remedy, finding
    return {finding.name: finding for finding in found}


def worst(found: dict[str, Finding]) -> str:
    return max(
        (finding.level for finding in found.values() if finding.name != "sqlite"), key=[OK, WARNING, WRONG].index
    )


def test_where_there_is_no_spool_nothing_is_wrong_and_nothing_is_made(ours: Home) -> None:
    assert worst(look(ours)) == OK
    assert not os.path.exists(ours.state)
    os.makedirs(ours.state, mode=0o700)
    assert look(ours)["spool"].text == "there is none yet"


def test_a_sound_spool_has_no_warning(ours: Home) -> None:
    assert record("run-check")
    found = look(ours)
    assert worst(found) == OK
    assert found["conservation"].text == "all 1 recorded events are accounted for"
    assert set(found) == {
        *("folder", "permissions", "file system", "lock", "integrity", "conservation", "version", "wal", "sqlite"),
    }


@posix
def test_a_file_that_others_may_read_is_named(ours: Home) -> None:
    assert record("run-check")
    os.chmod(ours.spool, 0o644)
    found = look(ours)["permissions"]
    assert (found.level, found.text) == (WRONG, "others may read spool.db")


def test_copies_that_were_put_aside_are_counted(ours: Home, run: Run) -> None:
    run(RECORD)
    put_aside(ours, identity(ours.spool))
    run(RECORD)
    assert look(ours)["damaged copies"].text == "1 put aside"


def test_what_could_not_be_read_and_what_is_not_ours_is_named(ours: Home) -> None:
    assert record("run-check")
    for name in ("spool.db.unreadable", "notes.txt", "spool.db.new"):
        Path(ours.state, name).touch(mode=0o600)
    found = look(ours)
    assert found["unreadable file"].level == WARNING
    assert found["left-over files"].text == "2 not ours, or half made"


def test_a_network_file_system_is_a_note(ours: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"36 35 98:0 / {os.path.realpath(tmp_path)} rw - nfs server:/export rw\n")
    monkeypatch.setattr(ground_, "MOUNTS", str(mounts))
    assert record("run-check")
    assert look(ours)["file system"].level == WARNING


def test_a_lock_that_somebody_holds_for_long_is_told(ours: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert record("run-check")
    with hold(ours.lock, 1.0):
        monkeypatch.setattr(health, "hold", lambda path, _: hold(path, 0.0))
        assert look(ours)["lock"].level == WRONG


def test_a_fault_that_only_sqlite_sees_is_told_and_the_file_stays(ours: Home, run: Run, sql: Sql) -> None:
    run(RECORD)
    ((root,),) = sql("SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_environments_1'")
    sql("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(ours.spool, "r+b") as file:  # nobody here has it open
        file.seek(1024 * (int(root) - 1) + 1000)
        file.write(b"\x33" * 24)
    found = look(ours)["integrity"]
    assert (found.level, found.text) == (WRONG, "SQLite finds 1 faults or more")
    assert os.path.exists(ours.spool)


def test_a_file_that_is_no_spool_is_put_aside_and_told(ours: Home, run: Run) -> None:
    run(RECORD)
    os.unlink(ours.spool + "-wal")
    Path(ours.spool).write_text("Dear diary")
    found = look(ours)
    assert found["integrity"].level == WRONG
    assert look(ours)["damaged copies"].level == WARNING


@pytest.mark.parametrize(
    ("change", "told"), [("+ 2", "3 recorded, but 2 of them"), ("- 1", "0 recorded, but 1 more are there")]
)
def test_books_that_do_not_balance_are_told(ours: Home, sql: Sql, change: str, told: str) -> None:
    assert record("run-check")
    sql(f"INSERT INTO tallies SELECT 'recovered', 0 {change}")
    found = look(ours)["conservation"]
    assert found.level == WRONG
    assert found.text.startswith(told)


def test_drops_are_a_note_with_their_reasons(ours: Home, sql: Sql) -> None:
    assert record("run-check")
    sql("INSERT INTO tallies VALUES ('dropped:busy', 2), ('dropped:failed', 1)")
    found = look(ours)
    assert (found["dropped"].level, found["dropped"].text) == (
        WARNING,
        "2 busy (another process held the spool); 1 failed (the spool could not be written)",
    )
    assert found["conservation"].level == OK


def test_events_of_a_day_to_come_are_a_note(ours: Home) -> None:
    assert record("run-check")
    assert "clock" not in look(ours)
    assert look(ours, clock=lambda: 0.0)["clock"].level == WARNING


def test_an_older_spool_is_told_to_be_migrated_and_a_newer_one_to_need_an_update(ours: Home, sql: Sql) -> None:
    assert record("run-check")
    sql("PRAGMA user_version = 1000")
    assert look(ours)["version"].text == "schema 1000 (migrated at the next flush)"
    sql("PRAGMA user_version = 2000")
    found = look(ours)["version"]
    assert (found.level, found.remedy) == (WRONG, "pip install --upgrade deepchecks-telemetry")


def test_a_wal_that_a_reader_keeps_long_is_a_note(ours: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert record("run-check")
    monkeypatch.setattr(health, "WAL_LIMIT", 1000)
    assert look(ours)["wal"].level == WARNING


@pytest.mark.parametrize(
    ("version", "level"), [((3, 6, 23), OK), ((3, 7, 0), WARNING), ((3, 51, 2), WARNING), ((3, 51, 3), OK)]
)
def test_an_sqlite_with_a_known_bug_is_a_note(
    ours: Home, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], level: str
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    assert look(ours)["sqlite"].level == level


def test_a_folder_in_place_of_the_spool_is_told(ours: Home) -> None:
    os.makedirs(ours.spool, mode=0o700)
    assert look(ours)["spool"].level == WRONG


def test_the_databases_files_are_not_opened_by_other_means(ours: Home) -> None:
    """To close one of them would drop SQLite's locks, and another process's row would be lost."""
    assert record("run-check")
    opened: list[str] = []
    watching = True

    def watch(event: str, args: tuple[Any, ...]) -> None:
        if watching and event == "open" and isinstance(args[0], str):
            opened.append(os.path.basename(args[0]))

    sys.addaudithook(watch)
    try:
        examine(ours)
    finally:
        watching = False
    assert "spool.lock" in opened
    assert not [name for name in opened if name.startswith("spool.db")]
