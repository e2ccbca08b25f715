"""The spool's file: made whole, for this user alone, opened with the settings that everything relies on."""

import os
import sqlite3
import stat
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
from deepchecks_telemetry.spool.db.schema import BREAKING, SCHEMA_VERSION, BatchState
from deepchecks_telemetry.spool.db.sqlite_errors import translate
from deepchecks_telemetry.spool.errors import Busy, Damaged, Outdated, Unusable
from deepchecks_telemetry.spool.files.lock import hold_in_host
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.spool.wipe import erase

Sql = Callable[..., list[Any]]
posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")


def test_a_new_spool_is_complete_empty_and_open(ours: Home) -> None:
    create(ours, 1.0)
    with closing(connect(ours)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        assert connection.execute("SELECT id, epoch, installation FROM spool").fetchall() == [(1, 0, None)]
        for (table,) in tables:
            rows = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            assert rows == (1 if table in {"spool", "origin"} else 0)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert {name for name in os.listdir(ours.state) if name.startswith("spool.db.")} == set()


def test_the_pragmas_are_those_of_the_design(ours: Home) -> None:
    create(ours, 1.0)
    wanted = {"page_size": 512, "journal_mode": "wal", "synchronous": 1, "wal_autocheckpoint": 0, "trusted_schema": 0}
    with closing(connect(ours)) as connection:
        assert {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted} == wanted
        assert connection.isolation_level is None


def test_creating_an_existing_spool_changes_nothing(ours: Home) -> None:
    assert record("run-check")
    before = os.stat(ours.spool).st_ino
    create(ours, 1.0)
    assert os.stat(ours.spool).st_ino == before
    with closing(connect(ours)) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (1,)


def test_a_spool_created_during_the_wait_is_not_created_again(ours: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    hold = hold_in_host

    @contextmanager
    def after_another(path: str) -> Iterator[None]:
        monkeypatch.setattr(creation, "hold_in_host", hold)
        create(ours, 1.0)
        made.append(os.stat(ours.spool).st_ino)
        yield

    os.makedirs(ours.state, mode=0o700)
    monkeypatch.setattr(creation, "hold_in_host", after_another)
    create(ours, 0.0)
    assert [os.stat(ours.spool).st_ino] == made


def test_an_incomplete_spool_of_a_crash_is_replaced(ours: Home) -> None:
    os.makedirs(ours.state, mode=0o700)
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{ours.spool}.new{suffix}").write_text("half")
    assert record("run-check")
    assert not [name for name in os.listdir(ours.state) if ".new" in name]


def test_a_wal_without_its_spool_is_not_applied_to_the_next_spool(ours: Home) -> None:
    assert record("run-check")
    with closing(connect(ours)) as connection:
        connection.execute("INSERT INTO tallies VALUES ('delivered', 7)")
        os.unlink(ours.spool)
        create(ours, 1.0)
        with closing(connect(ours)) as fresh:
            assert fresh.execute("SELECT * FROM tallies").fetchall() == []


def test_a_missing_spool_is_not_a_damaged_one(ours: Home) -> None:
    with pytest.raises(FileNotFoundError):
        connect(ours)
    os.makedirs(ours.state, mode=0o700)
    with pytest.raises(FileNotFoundError):
        connect(ours)
    assert os.listdir(ours.state) == []


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\x00" + b"\x00" * 100])
def test_a_file_that_is_not_a_spool_is_damaged(ours: Home, content: bytes) -> None:
    os.makedirs(ours.state, mode=0o700)
    Path(ours.spool).write_bytes(content)
    with pytest.raises(Damaged):
        connect(ours)


def test_somebody_elses_database_is_damaged_and_not_written(ours: Home) -> None:
    os.makedirs(ours.state, mode=0o700)
    with closing(sqlite3.connect(ours.spool)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = Path(ours.spool).read_bytes()
    with pytest.raises(Damaged, match="not a spool"):
        connect(ours)
    assert Path(ours.spool).read_bytes() == before


def test_a_spool_of_an_incompatible_version_is_not_touched(ours: Home, sql: Sql) -> None:
    create(ours, 1.0)
    sql(f"PRAGMA user_version = {SCHEMA_VERSION + BREAKING}")
    with pytest.raises(Outdated, match=str(SCHEMA_VERSION + BREAKING)):
        connect(ours)
    assert not record("run-check")


def test_additions_of_a_newer_version_are_ignored(
    ours: Home, sql: Sql, render: Callable[[str, list[Row]], bytes]
) -> None:
    assert record("run-check")
    sql(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    sql("CREATE TABLE later (x TEXT)")
    sql("INSERT INTO later VALUES ('run-check')")
    for (table,) in sql("SELECT name FROM sqlite_master WHERE type = 'table'"):
        sql(f"ALTER TABLE {table} ADD COLUMN more INTEGER")
    assert record("run-check")
    assert seal(ours, render)
    (batch,) = batches(ours)
    assert mark_attempt(ours, batch, "https://collector.example.org")
    assert settle(ours, batch, Disposition(BatchState.DELIVERED, "delivered"))
    assert (read_accounts(ours).delivered, read_accounts(ours).balance) == (2, 0)
    erase(ours)
    assert sql("SELECT count(*) FROM later") == [(0,)]


@posix
def test_a_state_directory_is_closed_to_others_and_a_link_is_refused(ours: Home, tmp_path: Path) -> None:
    create(ours, 1.0)
    for mode in (0o720, 0o702):
        os.chmod(ours.state, mode)
        connect(ours).close()
        assert stat.S_IMODE(os.stat(ours.state).st_mode) == 0o700
    os.rename(ours.state, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", ours.state)
    with pytest.raises(Unusable, match="is a link"):
        connect(ours)


@posix
def test_a_spool_that_is_a_link_is_refused(ours: Home, tmp_path: Path) -> None:
    create(ours, 1.0)
    os.rename(ours.spool, tmp_path / "elsewhere.db")
    os.symlink(tmp_path / "elsewhere.db", ours.spool)
    with pytest.raises(Unusable, match="is a link"):
        connect(ours)


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root can give a folder away")
def test_a_state_directory_of_another_user_is_refused(ours: Home) -> None:
    create(ours, 1.0)
    os.chown(ours.state, 12345, -1)
    with pytest.raises(Unusable, match="belongs to another user"):
        connect(ours)


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
    ("error", "told"),
    [
        (sqlite3.OperationalError("database is locked"), Busy),
        (sqlite3.OperationalError("database table is locked"), Busy),
        (sqlite3.DatabaseError("database disk image is malformed"), Damaged),
        (sqlite3.DatabaseError("file is not a database"), Damaged),
        (sqlite3.OperationalError("no such table: events"), Damaged),
        (sqlite3.OperationalError("unable to open database file /home/me"), Unusable),
    ],
)
def test_an_error_of_sqlite_is_translated_without_a_path(error: sqlite3.Error, told: type[Exception]) -> None:
    assert type(translate(error)) is told
    assert "/" not in str(translate(error))


@pytest.mark.parametrize(("code", "told"), [(266, Damaged), (522, Damaged), (778, Unusable), (1034, Unusable)])
def test_an_unreadable_page_is_damage_but_an_unwritable_one_is_not(code: int, told: type[Exception]) -> None:
    """SQLITE_IOERR_READ and _SHORT_READ, against _WRITE and _FSYNC."""
    error = sqlite3.OperationalError("disk I/O error")
    setattr(error, "sqlite_errorcode", code)  # noqa: B010 - Python 3.10 has no such attribute
    assert type(translate(error)) is told
