"""The spool's file is created completely, for this user alone, and opened with the settings that the design needs."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.ledger import Disposition, batches, mark_attempt, settle
from deepchecks_telemetry.spool.batches.seal import Row, seal
from deepchecks_telemetry.spool.db import create as creation
from deepchecks_telemetry.spool.db.connection import connect
from deepchecks_telemetry.spool.db.create import create
from deepchecks_telemetry.spool.db.schema import BREAKING, SCHEMA_VERSION
from deepchecks_telemetry.spool.db.sqlite_errors import translate
from deepchecks_telemetry.spool.errors import Busy, Damaged, Outdated, Unusable
from deepchecks_telemetry.spool.files.lock import hold_in_host
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.states import BatchState
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.spool.wipe import erase

Sql = Callable[..., list[Any]]
posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")


def test_a_new_spool_is_complete_empty_and_open(dirs: Home) -> None:
    create(dirs, 1.0)
    with closing(connect(dirs)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        assert connection.execute("SELECT id, epoch, installation FROM spool").fetchall() == [(1, 0, None)]
        for (table,) in tables:
            rows = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            assert rows == (1 if table in {"spool", "origin"} else 0)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert {name for name in os.listdir(dirs.state) if name.startswith("spool.db.")} == set()


def test_the_pragmas_are_those_of_the_design(dirs: Home) -> None:
    create(dirs, 1.0)
    wanted = {"page_size": 512, "journal_mode": "wal", "synchronous": 1, "wal_autocheckpoint": 0, "trusted_schema": 0}
    with closing(connect(dirs)) as connection:
        assert {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted} == wanted
        assert connection.isolation_level is None


@pytest.mark.skipif(os.name == "nt", reason="strace is for Linux")
def test_the_first_record_removes_no_file(dirs: Home, tool: Callable[[str], str], tmp_path: Path) -> None:
    """A removal takes 100 ms and more on a file system that discards the blocks (ext4 without a journal)."""
    calls = tmp_path / "calls"
    program = "from deepchecks_telemetry.spool import record; assert record('run-check')"
    strace = (tool("strace"), "-qq", "-e", "trace=unlink,unlinkat,rename", "-o", str(calls))
    subprocess.run([*strace, sys.executable, "-c", program], check=True, timeout=60)
    done = [line for line in calls.read_text().splitlines() if dirs.state in line and "ENOENT" not in line]
    assert [line.partition("(")[0] for line in done] == ["rename"]


def test_creating_an_existing_spool_changes_nothing(dirs: Home) -> None:
    assert record("run-check")
    before = os.stat(dirs.spool).st_ino
    create(dirs, 1.0)
    assert os.stat(dirs.spool).st_ino == before
    with closing(connect(dirs)) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (1,)


def test_a_spool_created_during_the_wait_is_not_created_again(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    hold = hold_in_host

    @contextmanager
    def after_another(path: str) -> Iterator[None]:
        monkeypatch.setattr(creation, "hold_in_host", hold)
        create(dirs, 1.0)
        made.append(os.stat(dirs.spool).st_ino)
        yield

    os.makedirs(dirs.state, mode=0o700)
    monkeypatch.setattr(creation, "hold_in_host", after_another)
    create(dirs, 0.0)
    assert [os.stat(dirs.spool).st_ino] == made


def test_an_incomplete_spool_of_a_crash_is_replaced(dirs: Home) -> None:
    os.makedirs(dirs.state, mode=0o700)
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{dirs.spool}.new{suffix}").write_text("half")
    assert record("run-check")
    assert not [name for name in os.listdir(dirs.state) if ".new" in name]


@pytest.mark.skipif(os.name == "nt", reason="Windows does not remove an open file")
def test_a_wal_without_its_spool_is_not_applied_to_the_next_spool(dirs: Home) -> None:
    assert record("run-check")
    with closing(connect(dirs)) as connection:
        connection.execute("INSERT INTO tallies VALUES ('delivered', 7)")
        os.unlink(dirs.spool)
        create(dirs, 1.0)
        with closing(connect(dirs)) as fresh:
            assert fresh.execute("SELECT * FROM tallies").fetchall() == []


def test_a_missing_spool_is_not_a_damaged_one(dirs: Home) -> None:
    with pytest.raises(FileNotFoundError):
        connect(dirs)
    os.makedirs(dirs.state, mode=0o700)
    with pytest.raises(FileNotFoundError):
        connect(dirs)
    assert os.listdir(dirs.state) == []


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\x00" + b"\x00" * 100])
def test_a_file_that_is_not_a_spool_is_damaged(dirs: Home, content: bytes) -> None:
    os.makedirs(dirs.state, mode=0o700)
    Path(dirs.spool).write_bytes(content)
    with pytest.raises(Damaged):
        connect(dirs)


def test_somebody_elses_database_is_damaged_and_not_written(dirs: Home) -> None:
    os.makedirs(dirs.state, mode=0o700)
    with closing(sqlite3.connect(dirs.spool)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = Path(dirs.spool).read_bytes()
    with pytest.raises(Damaged, match="not a spool"):
        connect(dirs)
    assert Path(dirs.spool).read_bytes() == before


def test_a_spool_of_an_incompatible_version_is_not_touched(dirs: Home, sql: Sql) -> None:
    create(dirs, 1.0)
    sql(f"PRAGMA user_version = {SCHEMA_VERSION + BREAKING}")
    with pytest.raises(Outdated, match=str(SCHEMA_VERSION + BREAKING)):
        connect(dirs)
    assert not record("run-check")


def test_additions_of_a_newer_version_are_ignored(
    dirs: Home, sql: Sql, render: Callable[[str, list[Row]], bytes]
) -> None:
    assert record("run-check")
    sql(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    sql("CREATE TABLE later (x TEXT)")
    sql("INSERT INTO later VALUES ('run-check')")
    for (table,) in sql("SELECT name FROM sqlite_master WHERE type = 'table'"):
        sql(f"ALTER TABLE {table} ADD COLUMN more INTEGER")
    assert record("run-check")
    assert seal(dirs, render)
    (batch,) = batches(dirs)
    assert mark_attempt(dirs, batch, "https://collector.example.org")
    assert settle(dirs, batch, Disposition(BatchState.DELIVERED, "delivered"))
    assert (read_accounts(dirs).delivered, read_accounts(dirs).balance) == (2, 0)
    erase(dirs)
    assert sql("SELECT count(*) FROM later") == [(0,)]


@posix
def test_a_state_directory_is_closed_to_others_and_a_link_is_refused(dirs: Home, tmp_path: Path) -> None:
    create(dirs, 1.0)
    for mode in (0o720, 0o702):
        os.chmod(dirs.state, mode)
        connect(dirs).close()
        assert stat.S_IMODE(os.stat(dirs.state).st_mode) == 0o700
    os.rename(dirs.state, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", dirs.state)
    with pytest.raises(Unusable, match="is a link"):
        connect(dirs)


@posix
def test_a_spool_that_is_a_link_is_refused(dirs: Home, tmp_path: Path) -> None:
    create(dirs, 1.0)
    os.rename(dirs.spool, tmp_path / "elsewhere.db")
    os.symlink(tmp_path / "elsewhere.db", dirs.spool)
    with pytest.raises(Unusable, match="is a link"):
        connect(dirs)


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root can give a folder away")
def test_a_state_directory_of_another_user_is_refused(dirs: Home) -> None:
    create(dirs, 1.0)
    os.chown(dirs.state, 12345, -1)
    with pytest.raises(Unusable, match="belongs to another user"):
        connect(dirs)


@pytest.mark.parametrize("name", ["a b", "100%", "what?", "a#b", "é", "%3f", "a&mode=memory"])
def test_a_directory_of_any_name_can_contain_a_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if os.name == "nt" and "?" in name:
        pytest.skip("Windows has no such names")
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY_DIR", str(tmp_path / name))
    assert record("run-check")
    assert os.path.isfile(tmp_path / name / "state" / "spool.db")
    assert find_home().spool == str(tmp_path / name / "state" / "spool.db")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (sqlite3.OperationalError("database is locked"), Busy),
        (sqlite3.OperationalError("database table is locked"), Busy),
        (sqlite3.DatabaseError("database disk image is malformed"), Damaged),
        (sqlite3.DatabaseError("file is not a database"), Damaged),
        (sqlite3.OperationalError("no such table: events"), Damaged),
        (sqlite3.OperationalError("unable to open database file /home/me"), Unusable),
    ],
)
def test_an_error_of_sqlite_is_translated_without_a_path(error: sqlite3.Error, expected: type[Exception]) -> None:
    assert type(translate(error)) is expected
    assert "/" not in str(translate(error))


@pytest.mark.parametrize(("code", "expected"), [(266, Damaged), (522, Damaged), (778, Unusable), (1034, Unusable)])
def test_an_unreadable_page_is_damage_but_an_unwritable_one_is_not(code: int, expected: type[Exception]) -> None:
    """SQLITE_IOERR_READ and _SHORT_READ, against _WRITE and _FSYNC."""
    error = sqlite3.OperationalError("disk I/O error")
    setattr(error, "sqlite_errorcode", code)  # noqa: B010 - Python 3.10 has no such attribute
    assert type(translate(error)) is expected
