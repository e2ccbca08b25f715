"""Migrations are additive, can be repeated, run in one transaction, and never in the host."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
import sqlite_utils

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.seal import Row, seal
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.db.schema import BREAKING, SCHEMA_VERSION
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.residue import find_residue
from deepchecks_telemetry.spool.recovery import migrations
from deepchecks_telemetry.spool.recovery.migrations import migrate
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.spool.wipe import erase

Run = Callable[..., str]
Sql = Callable[..., list[Any]]


@pytest.fixture
def old(dirs: Home, sql: Sql) -> Home:
    """A spool of the first version, with one event."""
    assert record("run-check")
    close_our_own()
    for table in ("salvaged", "retry_after"):
        sql(f"DROP TABLE {table}")
    sql(f"PRAGMA user_version = {BREAKING}")
    return dirs


def close_our_own() -> None:
    from deepchecks_telemetry.spool.recording import record as recording

    recording.close()


def shape(sql: Sql) -> set[tuple[str, str, int, int]]:
    """Tables and columns with their properties."""
    query = 'SELECT m.name, c.name, c."notnull", c.pk > 0 FROM sqlite_master m, pragma_table_info(m.name) c'
    return {row for row in sql(f"{query} WHERE m.type = 'table'") if not row[0].startswith("_")}


def test_an_old_spool_is_migrated_to_the_new_schema(old: Home, sql: Sql) -> None:
    assert read_accounts(old).recorded == 1
    assert sql("PRAGMA user_version") == [(SCHEMA_VERSION,)]
    migrated = shape(sql)
    os.unlink(old.spool)
    assert record("run-check")
    assert migrated == shape(sql)


def test_a_second_migration_changes_nothing(old: Home, sql: Sql) -> None:
    read_accounts(old)
    before = sql("SELECT name, sql FROM sqlite_master ORDER BY name")
    with opened(old) as connection:
        migrate(connection)
    sql(f"PRAGMA user_version = {BREAKING}")
    read_accounts(old)
    assert sql("SELECT name, sql FROM sqlite_master ORDER BY name") == before


def test_migrating_a_new_spool_keeps_its_tables(dirs: Home, sql: Sql) -> None:
    assert record("run-check")
    before = shape(sql)
    with opened(dirs) as connection:
        migrate(connection)
    assert shape(sql) == before
    assert read_accounts(dirs).recorded == 1


def test_a_failed_migration_changes_nothing(old: Home, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sql("SELECT name, sql FROM sqlite_master ORDER BY name")
    apply = migrations.changes.apply

    def fail(database: Any) -> None:
        apply(database)
        raise sqlite3.OperationalError("a power cut")

    monkeypatch.setattr(migrations.changes, "apply", fail)
    with pytest.raises(Exception, match="OperationalError"):
        read_accounts(old)
    assert sql("SELECT name, sql FROM sqlite_master ORDER BY name") == before
    assert sql("PRAGMA user_version") == [(BREAKING,)]


def test_appenders_of_the_old_version_continue_during_the_migration(old: Home, sql: Sql) -> None:
    assert record("run-check")
    read_accounts(old)
    assert record("run-check")
    assert read_accounts(old).recorded == 3


def test_the_host_records_into_an_old_spool_without_sqlite_utils(old: Home, run: Run, sql: Sql) -> None:
    run(
        "import sys; from deepchecks_telemetry.spool import record; assert record('run-check')\n"
        "assert not {'sqlite_utils', 'pandas', 'click', 'requests', 'filelock'} & set(sys.modules)"
    )
    assert sql("PRAGMA user_version") == [(BREAKING,)]
    assert sql("SELECT count(*) FROM events") == [(2,)]


def test_a_migration_runs_no_plugins(old: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    database = sqlite_utils.Database

    def spy(connection: sqlite3.Connection, **options: Any) -> Any:
        seen.append((type(connection), options))
        return database(connection, **options)

    monkeypatch.setattr(migrations, "Database", spy)
    read_accounts(old)
    assert seen == [(sqlite3.Connection, {"execute_plugins": False})]


def test_an_old_spool_is_wiped_without_a_migration(old: Home, sql: Sql) -> None:
    ((mark,),) = sql("SELECT installation FROM spool")
    assert erase(old).before.recorded == 1
    assert find_residue(old, [mark.encode()])[1] == []


def test_the_list_of_migrations_contains_no_event_name(old: Home, sql: Sql) -> None:
    read_accounts(old)
    with closing(sqlite3.connect(old.spool)) as connection:
        dump = "".join(connection.iterdump())
    assert not [name for name in ("run-check", "run-suite") if name in dump]


def test_an_old_spool_can_be_sealed(old: Home, render: Callable[[str, list[Row]], bytes]) -> None:
    assert seal(old, render)
    assert read_accounts(old).sealed == 1
