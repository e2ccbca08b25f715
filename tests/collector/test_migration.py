"""The store of an earlier release is converted with every row and the same report, or stays as it was."""

import sqlite3
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

from deepchecks_telemetry.collector.errors import StoreError
from deepchecks_telemetry.collector.otlp import Row
from deepchecks_telemetry.collector.reporting.options import Options
from deepchecks_telemetry.collector.reporting.query import Report, report
from deepchecks_telemetry.collector.store import Store, reading
from deepchecks_telemetry.spool.catalogue import EVENT_NUMBERS, Environment

DAY = date(2025, 11, 24)
COLUMNS = ("uid", "day", "event", "count", "installation_id", "received_day", *Environment._fields)
SCHEMA_1 = """
CREATE TABLE rows (
  uid TEXT PRIMARY KEY, day TEXT NOT NULL, event TEXT NOT NULL, count INTEGER NOT NULL,
  installation_id TEXT NOT NULL, received_day TEXT NOT NULL,
  deepchecks_version TEXT NOT NULL, os_type TEXT NOT NULL, os_name TEXT NOT NULL, os_version TEXT NOT NULL,
  python_name TEXT NOT NULL, python_version TEXT NOT NULL, runtime TEXT NOT NULL
) WITHOUT ROWID;
PRAGMA application_id = 0x64634F4C;
PRAGMA user_version = 1;
"""

# The sums and views of schema 2, whose rows are in the same tables as now.
SUMS_2 = """
CREATE TABLE cells (
  id INTEGER PRIMARY KEY, field TEXT NOT NULL, value TEXT NOT NULL, events INTEGER NOT NULL, rows INTEGER NOT NULL,
  installations INTEGER NOT NULL DEFAULT 0, UNIQUE (field, value)
);
CREATE TABLE seen (
  cell INTEGER NOT NULL REFERENCES cells, installation INTEGER NOT NULL REFERENCES installations,
  PRIMARY KEY (cell, installation)
) WITHOUT ROWID;
CREATE TABLE active_weeks (
  installation INTEGER NOT NULL REFERENCES installations, week INTEGER NOT NULL, PRIMARY KEY (installation, week)
) WITHOUT ROWID;
CREATE TABLE cohorts (
  first_week INTEGER NOT NULL, week INTEGER NOT NULL, installations INTEGER NOT NULL, PRIMARY KEY (first_week, week)
) WITHOUT ROWID;
CREATE TRIGGER count_installation AFTER INSERT ON seen BEGIN
  UPDATE cells SET installations = installations + 1 WHERE id = new.cell;
END;
CREATE VIEW rows AS SELECT * FROM counts;
CREATE VIEW daily_active AS SELECT * FROM cells;
CREATE VIEW weekly_active AS SELECT * FROM cells;
CREATE VIEW adoption AS SELECT * FROM cells;
CREATE VIEW usage AS SELECT * FROM cells;
CREATE VIEW retention AS SELECT * FROM cohorts;
INSERT INTO cells VALUES (1, 'total', '', 7, 7, 7);
PRAGMA user_version = 2;
"""

# Schema 4 has this instead of `daily` and `categories`.
SUMS_4 = """
DROP TABLE daily; DROP TABLE categories;
CREATE TABLE arrivals (day INTEGER PRIMARY KEY, first_id INTEGER NOT NULL, last_id INTEGER NOT NULL);
PRAGMA user_version = 4;
"""
# Schema 3 has this trigger too.
TRIGGER_3 = """
CREATE TRIGGER count_installation AFTER INSERT ON seen BEGIN
  UPDATE cells SET installations = installations + 1 WHERE id = new.cell;
END;
PRAGMA user_version = 3;
"""


def some_rows() -> list[Row]:
    chance = Random(3)

    def row(number: int) -> Row:
        environment = Environment(chance.choice(["0.19.0", "0.19.1"]), "linux", "debian", "12", "cpython", "3.11", "ci")
        day = (DAY - timedelta(days=chance.randrange(60))).isoformat()
        installation = str(UUID(int=chance.randrange(40)))
        return Row(str(UUID(int=number)), day, chance.choice(list(EVENT_NUMBERS)), chance.randint(1, 9), environment,
                   installation)  # fmt: skip

    return [row(number) for number in range(500)]


def values(row: Row) -> tuple[Any, ...]:
    return (row.uid, row.day, row.event, row.count, row.installation_id, DAY.isoformat(), *row.environment)


def write_old_store(path: Path, rows: list[tuple[Any, ...]]) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(SCHEMA_1)
        connection.executemany(f"INSERT INTO rows VALUES ({', '.join('?' * len(COLUMNS))})", rows)


def read_rows(path: Path) -> list[tuple[Any, ...]]:
    with reading(path) as connection:
        return connection.execute(f"SELECT {', '.join(COLUMNS)} FROM rows ORDER BY uid").fetchall()


def read_sums(path: Path) -> list[tuple[Any, ...]]:
    with reading(path) as connection:
        return connection.execute(
            "SELECT field, value, events, rows, installations FROM cells ORDER BY 1, 2"
        ).fetchall()


def reports(path: Path) -> list[Report]:
    chosen = (Options(), Options(event="run-check"), Options(by="day", since=DAY - timedelta(days=70)))
    return [report(path, options) for options in chosen]


def test_an_old_store_is_converted_with_every_row(tmp_path: Path) -> None:
    rows = some_rows()
    write_old_store(tmp_path / "old.db", [values(row) for row in rows])
    with closing(Store(tmp_path / "old.db")) as converted:
        assert converted.append(rows, received=DAY) == 0
    with closing(Store(tmp_path / "new.db")) as new:
        new.append(rows, received=DAY)
    assert read_rows(tmp_path / "old.db") == sorted(map(values, rows)) == read_rows(tmp_path / "new.db")
    assert reports(tmp_path / "old.db") == reports(tmp_path / "new.db")


def test_the_sums_of_a_store_of_schema_2_are_computed_from_its_rows(tmp_path: Path) -> None:
    for name in ("old.db", "new.db"):
        with closing(Store(tmp_path / name)) as store:
            store.append(some_rows(), received=DAY)
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection, connection:
        names = connection.execute("SELECT name, type FROM sqlite_master WHERE type IN ('view', 'table')").fetchall()
        kept = {"events", "installations", "environments", "counts"}
        for name, kind in sorted(names, key=lambda one: one[1], reverse=True):
            if name not in kept:
                connection.execute(f"DROP {kind} {name}")
        connection.executescript(SUMS_2)
    Store(tmp_path / "old.db").close()
    assert reports(tmp_path / "old.db") == reports(tmp_path / "new.db")
    assert read_rows(tmp_path / "old.db") == read_rows(tmp_path / "new.db")


@pytest.mark.parametrize("schema", [SUMS_4, SUMS_4 + TRIGGER_3])
def test_the_sums_of_a_store_of_schema_3_and_4_are_computed_and_continued(tmp_path: Path, schema: str) -> None:
    rows = some_rows()
    with closing(Store(tmp_path / "old.db")) as store:
        store.append(rows[:300], received=DAY)
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.executescript(schema)
    for name, parts in (("old.db", [rows[300:]]), ("new.db", [rows[:300], rows[300:]])):
        with closing(Store(tmp_path / name)) as store:
            for part in parts:
                store.append(part, received=DAY)
    assert read_sums(tmp_path / "old.db") == read_sums(tmp_path / "new.db")
    assert reports(tmp_path / "old.db") == reports(tmp_path / "new.db")


@pytest.mark.parametrize(
    ("column", "values"),
    [
        *((name, ["x", b"x", 0.5, 1e300]) for name in ("day", "count", "received_day")),
        ("count", [0, -1]),
        *((name, ["x", 0.5, -1, 10**9]) for name in ("event", "environment", "installation")),
        ("id", [-1]),
    ],
)
def test_a_row_that_was_edited_stops_the_conversion(tmp_path: Path, column: str, values: list[object]) -> None:
    path = tmp_path / "old.db"
    with closing(Store(path)) as store:
        store.append(some_rows(), received=DAY)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SUMS_4)
    for value in values:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"UPDATE counts SET {column} = ? WHERE uid = (SELECT min(uid) FROM counts)", (value,))
        before = path.read_bytes()
        with pytest.raises(StoreError, match=r"^Row -?1 of the table counts is not valid\. Correct or delete it\.$"):
            Store(path)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert path.read_bytes() == before


def test_a_store_whose_rows_have_large_ids_is_converted(tmp_path: Path) -> None:
    for name in ("old.db", "new.db"):
        with closing(Store(tmp_path / name)) as store:
            store.append(some_rows(), received=DAY)
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.executescript(SUMS_4)
        connection.execute("UPDATE counts SET id = id + 1000000000000 WHERE id > 100")
        connection.commit()
    Store(tmp_path / "old.db").close()
    assert reports(tmp_path / "old.db") == reports(tmp_path / "new.db")


def test_a_report_on_an_old_store_says_how_to_convert_it(tmp_path: Path) -> None:
    write_old_store(tmp_path / "old.db", [])
    with pytest.raises(StoreError, match=r"earlier release\. Start `collector serve` on it once"):
        report(tmp_path / "old.db")


@pytest.mark.parametrize("change", [{"uid": "no uuid"}, {"event": "no event"}, {"day": "no day"}, {"count": None}])
def test_an_old_store_with_a_row_that_is_not_valid_stays_as_it_was(tmp_path: Path, change: dict[str, Any]) -> None:
    row = dict(zip(COLUMNS, values(some_rows()[0]), strict=True))
    rows = [values(row) for row in some_rows()[1:]]
    path = tmp_path / "old.db"
    write_old_store(path, rows)
    with closing(sqlite3.connect(path)) as connection, connection:
        if change == {"count": None}:  # as a hand that edits the schema could
            connection.executescript(
                "CREATE TABLE t AS SELECT * FROM rows; DROP TABLE rows; ALTER TABLE t RENAME TO rows"
            )
        connection.execute(f"INSERT INTO rows VALUES ({', '.join('?' * len(COLUMNS))})", tuple((row | change).values()))
    with pytest.raises(StoreError, match=r"The tables of .* cannot be written"):
        Store(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM rows").fetchone() == (500,)
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
