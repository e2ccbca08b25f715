"""`examine` reports each problem, caused for real here, and a healthy spool has no warnings."""

import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.spool import doctor, record
from deepchecks_telemetry.spool.db.create import PAGE_BYTES
from deepchecks_telemetry.spool.doctor import OK, WARNING, WRONG, Finding, examine
from deepchecks_telemetry.spool.files import directory
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.files.quarantine import quarantine
from deepchecks_telemetry.spool.files.regular import file_id

Run = Callable[..., str]
Sql = Callable[..., list[Any]]
posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
RECORD = "import os; from deepchecks_telemetry.spool import record; assert record('run-check'); os._exit(0)"


def find_by_name(dirs: Home, **options: Any) -> dict[str, Finding]:
    found = examine(dirs, **options)
    names = [finding.name for finding in found]
    assert len(set(names)) == len(names)
    for finding in found:
        assert "\n" not in finding.text
        assert finding.level != WRONG or finding.remedy, finding
    return {finding.name: finding for finding in found}


def worst_level(found: dict[str, Finding]) -> str:
    return max(
        (finding.level for finding in found.values() if finding.name != "sqlite"), key=[OK, WARNING, WRONG].index
    )


def test_without_a_spool_nothing_is_wrong_and_nothing_is_created(dirs: Home) -> None:
    assert worst_level(find_by_name(dirs)) == OK
    assert not os.path.exists(dirs.state)
    os.makedirs(dirs.state, mode=0o700)
    assert find_by_name(dirs)["spool"].text == "none yet; the first event creates it"
    assert {*os.listdir(dirs.state)} <= {"spool.lock"}  # on Windows filelock removes it


def test_a_healthy_spool_has_no_warning(dirs: Home) -> None:
    assert record("run-check")
    found = find_by_name(dirs)
    assert worst_level(found) == OK
    assert found["conservation"].text == "all 1 recorded events are accounted for"
    everywhere = {"directory", "file system", "lock", "integrity", "conservation", "version", "wal", "sqlite"}
    assert set(found) == (everywhere if os.name == "nt" else everywhere | {"permissions"})


@posix
def test_a_file_that_others_can_read_is_reported(dirs: Home) -> None:
    assert record("run-check")
    os.chmod(dirs.spool, 0o644)
    found = find_by_name(dirs)["permissions"]
    assert (found.level, found.text) == (WRONG, "accessible to other users: spool.db")


def test_quarantined_copies_are_counted(dirs: Home, run: Run) -> None:
    run(RECORD)
    quarantine(dirs, file_id(dirs.spool))
    run(RECORD)
    assert find_by_name(dirs)["damaged copies"].text == "1 quarantined"


def test_unreadable_and_unknown_files_are_reported(dirs: Home) -> None:
    assert record("run-check")
    for name in ("spool.db.unreadable", "notes.txt", "spool.db.new"):
        Path(dirs.state, name).touch(mode=0o600)
    found = find_by_name(dirs)
    assert found["unreadable file"].level == WARNING
    assert found["leftover files"].text == "2 unknown or incomplete"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no list of mounts, which this test replaces")
def test_a_network_file_system_is_a_warning(dirs: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"36 35 98:0 / {os.path.realpath(tmp_path)} rw - nfs server:/export rw\n")
    monkeypatch.setattr(directory, "MOUNTS", str(mounts))
    assert record("run-check")
    assert find_by_name(dirs)["file system"].level == WARNING


def test_a_lock_that_is_held_too_long_is_reported(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert record("run-check")
    with hold(dirs.lock, 1.0):
        monkeypatch.setattr(doctor, "hold", lambda path, _: hold(path, 0.0))
        assert find_by_name(dirs)["lock"].level == WRONG


def test_an_error_that_only_sqlite_finds_is_reported_and_the_file_stays(dirs: Home, run: Run, sql: Sql) -> None:
    run(RECORD)
    ((root,),) = sql("SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_environments_1'")
    sql("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(dirs.spool, "r+b") as file:  # this process does not have it open
        file.seek(PAGE_BYTES * int(root) - 24)
        file.write(b"\x33" * 24)
    found = find_by_name(dirs)["integrity"]
    assert (found.level, found.text) == (WRONG, "SQLite finds 1 or more errors")
    assert os.path.exists(dirs.spool)


def test_a_file_that_is_not_a_spool_is_quarantined_and_reported(dirs: Home, run: Run) -> None:
    run(RECORD)
    os.unlink(dirs.spool + "-wal")
    Path(dirs.spool).write_text("Dear diary")
    found = find_by_name(dirs)
    assert found["integrity"].level == WRONG
    assert find_by_name(dirs)["damaged copies"].level == WARNING


@pytest.mark.parametrize(
    ("change", "beginning"),
    [("+ 2", "3 recorded, but 2 are unaccounted for"), ("- 1", "0 recorded, but 1 more are stored")],
)
def test_sums_that_do_not_agree_are_reported(dirs: Home, sql: Sql, change: str, beginning: str) -> None:
    assert record("run-check")
    sql(f"INSERT INTO tallies SELECT 'recovered', 0 {change}")
    found = find_by_name(dirs)["conservation"]
    assert found.level == WRONG
    assert found.text.startswith(beginning)


def test_drops_are_a_warning_with_their_reasons(dirs: Home, sql: Sql) -> None:
    assert record("run-check")
    sql("INSERT INTO tallies VALUES ('dropped:busy', 2), ('dropped:failed', 1)")
    found = find_by_name(dirs)
    assert (found["dropped"].level, found["dropped"].text) == (
        WARNING,
        "2 busy (another process held the spool); 1 failed (the spool could not be written)",
    )
    assert found["conservation"].level == OK


def test_events_of_a_future_day_are_a_warning(dirs: Home) -> None:
    assert record("run-check")
    assert "clock" not in find_by_name(dirs)
    assert find_by_name(dirs, clock=lambda: 0.0)["clock"].level == WARNING


def test_an_older_spool_will_be_migrated_and_a_newer_one_needs_an_upgrade(dirs: Home, sql: Sql) -> None:
    assert record("run-check")
    sql("PRAGMA user_version = 1000")
    assert find_by_name(dirs)["version"].text == "schema 1000 (migrated at the next flush)"
    sql("PRAGMA user_version = 2000")
    found = find_by_name(dirs)["version"]
    assert (found.level, found.remedy) == (WRONG, "pip install --upgrade deepchecks-telemetry")


def test_a_large_wal_is_a_warning(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert record("run-check")
    monkeypatch.setattr(doctor, "MAX_WAL_BYTES", 1000)
    assert find_by_name(dirs)["wal"].level == WARNING


@pytest.mark.parametrize(
    ("version", "level"), [((3, 6, 23), OK), ((3, 7, 0), WARNING), ((3, 51, 2), WARNING), ((3, 51, 3), OK)]
)
def test_an_sqlite_with_a_known_bug_is_a_warning(
    dirs: Home, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], level: str
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    assert find_by_name(dirs)["sqlite"].level == level


def test_a_directory_in_place_of_the_spool_is_reported(dirs: Home) -> None:
    os.makedirs(dirs.spool, mode=0o700)
    assert find_by_name(dirs)["spool"].level == WRONG


def test_doctor_opens_the_database_only_through_sqlite(dirs: Home) -> None:
    """Closing one of them would drop SQLite's locks, and another process's row would be lost."""
    assert record("run-check")
    opened: list[str] = []
    watching = True

    def watch(event: str, args: tuple[Any, ...]) -> None:
        if watching and event == "open" and isinstance(args[0], str):
            opened.append(os.path.basename(args[0]))

    sys.addaudithook(watch)
    try:
        examine(dirs)
    finally:
        watching = False
    assert "spool.lock" in opened
    assert not [name for name in opened if name.startswith("spool.db")]


def try_first_record(dirs: Home, run: Run) -> tuple[bool, Finding]:
    """The findings before a first record, and whether that record is then stored."""
    finding = find_by_name(dirs)["spool"]
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
    stored, finding = try_first_record(home, run)
    assert (stored, finding.level) == ((True, OK) if length <= 500 else (False, WRONG))
    assert stored or f"has {length} bytes, but SQLite accepts at most 500" in finding.text


def file_at_home(dirs: Home) -> None:
    Path(dirs.state).parent.write_text("")


def home_of_another_user(dirs: Home) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    Path(dirs.state).parent.mkdir()
    os.chown(Path(dirs.state).parent, 65_534, 65_534)  # a home of another user id, as in OpenShift


def home_in_proc(dirs: Home) -> None:
    os.symlink("/proc/self", Path(dirs.state).parent)  # a directory in which no file can be created


@posix
@pytest.mark.parametrize("prepare", [file_at_home, home_of_another_user, home_in_proc])
def test_an_error_of_the_first_record_is_reported_before_it(
    dirs: Home, run: Run, prepare: Callable[[Home], None]
) -> None:
    prepare(dirs)
    stored, finding = try_first_record(dirs, run)
    assert (stored, finding.level) == (False, WRONG)
    assert finding.text.startswith("none, and it cannot be created: ")
    assert finding.remedy == "set DEEPCHECKS_TELEMETRY_DIR to a directory of your own, on a local disk"


def test_the_trial_of_a_first_record_leaves_no_files(dirs: Home, tmp_path: Path, run: Run) -> None:
    before = sorted(tmp_path.rglob("*"))
    stored, finding = try_first_record(dirs, run)
    assert (stored, finding.level) == (True, OK)
    assert before == [path for path in sorted(tmp_path.rglob("*")) if "home" not in path.parts]


def test_with_telemetry_off_no_spool_is_needed(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    assert find_by_name(dirs)["spool"].text == "none, because telemetry is off"


def test_an_invalid_mode_is_reported_with_its_value(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY", "true")
    os.makedirs(dirs.policy)
    Path(dirs.policy_mode).write_text("maybe")
    found = find_by_name(dirs)
    assert found["DEEPCHECKS_TELEMETRY"].text == "counts as off: 'true' is not a valid mode: expected on, local or off"
    assert found["policy"].text == "counts as off: 'maybe' is not a valid mode: expected on, local or off"
