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
from deepchecks_telemetry.spool.db.create import PAGE_BYTES
from deepchecks_telemetry.spool.doctor import OK, WARNING, WRONG, Finding, examine
from deepchecks_telemetry.spool.files import directory as ground_
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.files.quarantine import quarantine
from deepchecks_telemetry.spool.files.regular import file_id

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


def test_without_a_spool_nothing_is_wrong_and_nothing_is_created(ours: Home) -> None:
    assert worst(look(ours)) == OK
    assert not os.path.exists(ours.state)
    os.makedirs(ours.state, mode=0o700)
    assert look(ours)["spool"].text == "none yet; the first event creates it"
    assert os.listdir(ours.state) == ["spool.lock"]


def test_a_healthy_spool_has_no_warning(ours: Home) -> None:
    assert record("run-check")
    found = look(ours)
    assert worst(found) == OK
    assert found["conservation"].text == "all 1 recorded events are accounted for"
    assert set(found) == {
        *("directory", "permissions", "file system", "lock", "integrity", "conservation", "version", "wal", "sqlite"),
    }


@posix
def test_a_file_that_others_can_read_is_reported(ours: Home) -> None:
    assert record("run-check")
    os.chmod(ours.spool, 0o644)
    found = look(ours)["permissions"]
    assert (found.level, found.text) == (WRONG, "accessible to other users: spool.db")


def test_quarantined_copies_are_counted(ours: Home, run: Run) -> None:
    run(RECORD)
    quarantine(ours, file_id(ours.spool))
    run(RECORD)
    assert look(ours)["damaged copies"].text == "1 quarantined"


def test_unreadable_and_unknown_files_are_reported(ours: Home) -> None:
    assert record("run-check")
    for name in ("spool.db.unreadable", "notes.txt", "spool.db.new"):
        Path(ours.state, name).touch(mode=0o600)
    found = look(ours)
    assert found["unreadable file"].level == WARNING
    assert found["leftover files"].text == "2 unknown or incomplete"


def test_a_network_file_system_is_a_warning(ours: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"36 35 98:0 / {os.path.realpath(tmp_path)} rw - nfs server:/export rw\n")
    monkeypatch.setattr(ground_, "MOUNTS", str(mounts))
    assert record("run-check")
    assert look(ours)["file system"].level == WARNING


def test_a_lock_that_is_held_too_long_is_reported(ours: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert record("run-check")
    with hold(ours.lock, 1.0):
        monkeypatch.setattr(health, "hold", lambda path, _: hold(path, 0.0))
        assert look(ours)["lock"].level == WRONG


def test_an_error_that_only_sqlite_finds_is_reported_and_the_file_stays(ours: Home, run: Run, sql: Sql) -> None:
    run(RECORD)
    ((root,),) = sql("SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_environments_1'")
    sql("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(ours.spool, "r+b") as file:  # nobody here has it open
        file.seek(PAGE_BYTES * int(root) - 24)
        file.write(b"\x33" * 24)
    found = look(ours)["integrity"]
    assert (found.level, found.text) == (WRONG, "SQLite finds 1 or more errors")
    assert os.path.exists(ours.spool)


def test_a_file_that_is_not_a_spool_is_quarantined_and_reported(ours: Home, run: Run) -> None:
    run(RECORD)
    os.unlink(ours.spool + "-wal")
    Path(ours.spool).write_text("Dear diary")
    found = look(ours)
    assert found["integrity"].level == WRONG
    assert look(ours)["damaged copies"].level == WARNING


@pytest.mark.parametrize(
    ("change", "told"),
    [("+ 2", "3 recorded, but 2 are unaccounted for"), ("- 1", "0 recorded, but 1 more are stored")],
)
def test_sums_that_do_not_agree_are_reported(ours: Home, sql: Sql, change: str, told: str) -> None:
    assert record("run-check")
    sql(f"INSERT INTO tallies SELECT 'recovered', 0 {change}")
    found = look(ours)["conservation"]
    assert found.level == WRONG
    assert found.text.startswith(told)


def test_drops_are_a_warning_with_their_reasons(ours: Home, sql: Sql) -> None:
    assert record("run-check")
    sql("INSERT INTO tallies VALUES ('dropped:busy', 2), ('dropped:failed', 1)")
    found = look(ours)
    assert (found["dropped"].level, found["dropped"].text) == (
        WARNING,
        "2 busy (another process held the spool); 1 failed (the spool could not be written)",
    )
    assert found["conservation"].level == OK


def test_events_of_a_future_day_are_a_warning(ours: Home) -> None:
    assert record("run-check")
    assert "clock" not in look(ours)
    assert look(ours, clock=lambda: 0.0)["clock"].level == WARNING


def test_an_older_spool_will_be_migrated_and_a_newer_one_needs_an_upgrade(ours: Home, sql: Sql) -> None:
    assert record("run-check")
    sql("PRAGMA user_version = 1000")
    assert look(ours)["version"].text == "schema 1000 (migrated at the next flush)"
    sql("PRAGMA user_version = 2000")
    found = look(ours)["version"]
    assert (found.level, found.remedy) == (WRONG, "pip install --upgrade deepchecks-telemetry")


def test_a_large_wal_is_a_warning(ours: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert record("run-check")
    monkeypatch.setattr(health, "MAX_WAL_BYTES", 1000)
    assert look(ours)["wal"].level == WARNING


@pytest.mark.parametrize(
    ("version", "level"), [((3, 6, 23), OK), ((3, 7, 0), WARNING), ((3, 51, 2), WARNING), ((3, 51, 3), OK)]
)
def test_an_sqlite_with_a_known_bug_is_a_warning(
    ours: Home, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], level: str
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    assert look(ours)["sqlite"].level == level


def test_a_directory_in_place_of_the_spool_is_reported(ours: Home) -> None:
    os.makedirs(ours.spool, mode=0o700)
    assert look(ours)["spool"].level == WRONG


def test_doctor_opens_the_database_only_through_sqlite(ours: Home) -> None:
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


def try_first(ours: Home, run: Run) -> tuple[bool, Finding]:
    """What doctor says before a first record, and whether that is then stored."""
    finding = look(ours)["spool"]
    return run("from deepchecks_telemetry.spool import record; print(record('run-check'))") == "True\n", finding


@posix
@pytest.mark.parametrize("length", [500, 501, 513])
def test_a_path_that_is_too_long_is_wrong_before_the_first_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run, length: int
) -> None:
    folder = str(tmp_path)
    while len(folder) < length - 200:
        folder = os.path.join(folder, "x" * 100)
    folder = os.path.join(folder, "y" * (length - len(folder) - len("//state/spool.db")))
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY_DIR", folder)
    home = find_home()
    assert len(home.spool) == length
    stored, finding = try_first(home, run)
    assert (stored, finding.level) == ((True, OK) if length <= 500 else (False, WRONG))
    assert stored or f"has {length} bytes, but SQLite accepts at most 500" in finding.text


def a_file(ours: Home) -> None:
    Path(ours.state).parent.write_text("")


def another_users(ours: Home) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    Path(ours.state).parent.mkdir()
    os.chown(Path(ours.state).parent, 65_534, 65_534)  # a home of another user number, as OpenShift gives one


def the_kernels(ours: Home) -> None:
    os.symlink("/proc/self", Path(ours.state).parent)  # a folder in which nobody can make a file


@posix
@pytest.mark.parametrize("spoil", [a_file, another_users, the_kernels])
def test_an_error_of_the_first_record_is_reported_before_it(
    ours: Home, run: Run, spoil: Callable[[Home], None]
) -> None:
    spoil(ours)
    stored, finding = try_first(ours, run)
    assert (stored, finding.level) == (False, WRONG)
    assert finding.text.startswith("none, and it cannot be created: ")
    assert finding.remedy == "set DEEPCHECKS_TELEMETRY_DIR to a directory of your own, on a local disk"


def test_the_trial_of_a_first_record_leaves_no_files(ours: Home, tmp_path: Path, run: Run) -> None:
    before = sorted(tmp_path.rglob("*"))
    stored, finding = try_first(ours, run)
    assert (stored, finding.level) == (True, OK)
    assert before == [path for path in sorted(tmp_path.rglob("*")) if "home" not in path.parts]


def test_with_telemetry_off_no_spool_is_needed(ours: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    assert look(ours)["spool"].text == "none, because telemetry is off"


def test_an_invalid_mode_is_reported_with_its_value(ours: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY", "true")
    os.makedirs(ours.policy)
    Path(ours.policy_mode).write_text("maybe")
    found = look(ours)
    assert found["DEEPCHECKS_TELEMETRY"].text == "counts as off: 'true' is not a valid mode: expected on, local or off"
    assert found["policy"].text == "counts as off: 'maybe' is not a valid mode: expected on, local or off"
