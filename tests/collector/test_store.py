"""Each acknowledged row is in the store once, and files of other applications are never changed."""

import sqlite3
import struct
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepchecks_telemetry.collector.errors import StoreError
from deepchecks_telemetry.collector.otlp import Row
from deepchecks_telemetry.collector.store import Store, reading
from deepchecks_telemetry.collector.tables.schema import SCHEMA_VERSION
from deepchecks_telemetry.spool.catalogue import EVENT_NUMBERS, Environment

DAY = date(2025, 11, 24)
LATER_UID = "b0000000-52d3-4a39-8a0e-1f8b4a7f0d55"
ROW = Row(
    "7a1b0f6e-52d3-4a39-8a0e-1f8b4a7f0d55",
    "2025-11-20",
    "run-check",
    35,
    Environment("0.19.1", "linux", "debian", "12", "cpython", "3.11", "script"),
    "0b6ee9b4-1f59-4a0e-9f0e-3f0c5a1c7c11",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with closing(Store(path)) as opened:
        yield opened


def rows(path: Path) -> list[tuple[Any, ...]]:
    with reading(path) as connection:
        return connection.execute("SELECT uid, day, count, received_day FROM rows ORDER BY uid").fetchall()


def test_a_row_is_stored_with_its_day_and_the_day_of_receipt(store: Store, path: Path) -> None:
    assert store.append([ROW], received=DAY) == 1
    assert rows(path) == [(ROW.uid, "2025-11-20", 35, "2025-11-24")]


def test_the_store_keeps_the_first_row_of_a_uid(store: Store, path: Path) -> None:
    assert store.append([ROW, ROW._replace(count=99)], received=DAY) == 1
    assert store.append([ROW._replace(count=98), ROW._replace(uid=LATER_UID)], received=DAY) == 1
    assert [(uid, count) for uid, _, count, _ in rows(path)] == [(ROW.uid, 35), (LATER_UID, 35)]


def test_a_batch_is_stored_completely_or_not_at_all(store: Store, path: Path) -> None:
    broken: Any = None
    with pytest.raises(StoreError):
        store.append([ROW, ROW._replace(uid=LATER_UID, count=broken)], received=DAY)
    assert rows(path) == []
    assert store.append([ROW], received=DAY) == 1


def test_an_acknowledged_row_survives_the_process_that_stored_it(path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from datetime import date\n"
        "from pathlib import Path\n"
        "from deepchecks_telemetry.collector.store import Store\n"
        "from deepchecks_telemetry.collector.otlp import Row\n"
        "from deepchecks_telemetry.spool.catalogue import Environment\n"
        f"row = {ROW!r}\n"
        "Store(Path(sys.argv[1])).append([row], received=date(2025, 11, 24))\n"
        "os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, path], timeout=60).returncode == 9
    assert [uid for uid, *_ in rows(path)] == [ROW.uid]
    with closing(Store(path)) as again:
        assert again.append([ROW], received=DAY) == 0


def test_every_commit_waits_for_the_disk(store: Store) -> None:
    settings = [store._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert settings == ["wal", 2]


def test_a_store_has_one_writer(store: Store, path: Path) -> None:
    with pytest.raises(StoreError, match="in use by another collector"):
        Store(path)


def test_a_store_that_was_closed_can_be_opened_again(path: Path) -> None:
    for new in (1, 0):
        with closing(Store(path)) as store:
            assert store.append([ROW], received=DAY) == new


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_store_is_readable_only_by_its_owner(store: Store, path: Path) -> None:
    store.append([ROW], received=DAY)
    assert {
        file.name: file.stat().st_mode & 0o077 for file in path.parent.glob("store.db*") if file.suffix != ".lock"
    } == {
        "store.db": 0,
        "store.db-shm": 0,
        "store.db-wal": 0,
    }


def test_the_database_of_another_application_is_not_changed(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE other (x)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another application's"):
        Store(path)
    with pytest.raises(StoreError, match="not a collector's store"), reading(path):
        pass
    assert path.read_bytes() == before


def test_a_file_that_is_not_a_database_is_not_changed(path: Path) -> None:
    path.write_bytes(b"not a database, however long it is" * 100)
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(path)
    with pytest.raises(StoreError, match="cannot be read"), reading(path):
        pass
    assert path.read_bytes().startswith(b"not a database")


def test_the_store_of_a_newer_release_is_refused(path: Path) -> None:
    Store(path).close()
    with closing(sqlite3.connect(path)) as later:
        later.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StoreError, match="newer release"):
        Store(path)
    with pytest.raises(StoreError, match="newer release"), reading(path):
        pass


def test_a_store_of_this_schema_accepts_the_events_that_a_later_release_adds(path: Path) -> None:
    Store(path).close()
    with closing(sqlite3.connect(path)) as earlier, earlier:
        earlier.execute("DELETE FROM events WHERE name = 'run-check'")
    with closing(Store(path)) as store:
        store.append([ROW], received=DAY)
    assert [uid for uid, *_ in rows(path)] == [ROW.uid]


def test_a_path_that_cannot_be_a_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "store.db"):
        with pytest.raises(StoreError, match="cannot be opened"):
            Store(path)
        with pytest.raises(StoreError, match="cannot be read"), reading(path):
            pass


def test_a_store_that_could_not_be_opened_is_not_locked(path: Path) -> None:
    path.write_bytes(b"no database" * 100)
    with pytest.raises(StoreError) as held:  # keeps the objects in the traceback alive
        Store(path)
    path.unlink()
    Store(path).close()
    assert "cannot be opened" in str(held.value)


def test_the_groups_of_a_day_are_those_of_its_rows_in_parts_of_240_installations(store: Store, path: Path) -> None:
    chance, groups = Random(7), defaultdict[tuple[object, ...], list[Row]](list)
    lateness = {1: 0, 8: 2, 84: 3, 91: 4}  # by days late
    for start in range(0, 3_000, 20):
        received, batch = DAY + timedelta(days=chance.choice([0, 0, 0, 83])), []
        for number in range(start, start + 20):
            version, day = f"0.19.{chance.randrange(2)}", DAY - timedelta(days=chance.choice([1, 1, 1, 8]))
            environment, who = ROW.environment._replace(deepchecks_version=version), UUID(int=chance.randrange(900))
            event = chance.choice(["run-check", "run-suite"])
            row = Row(str(UUID(int=number)), day.isoformat(), event, chance.randint(1, 9), environment, str(who))
            groups[row.day, event, version, lateness[(received - day).days]].append(row)
            batch.append(row)
        store.append(batch, received=received)
    found = defaultdict[tuple[object, ...], list[Any]](lambda: [0, 0, set()])
    sizes = defaultdict[object, list[int]](list)
    with reading(path) as connection:
        numbers = {number: str(UUID(bytes=uuid)) for number, uuid in connection.execute("SELECT * FROM installations")}
        for *key, events, number_of_rows, packed in connection.execute(DAILY):
            group = found[tuple(key)]
            group[0] += events
            group[1] += number_of_rows
            group[2] |= {numbers[number] for (number,) in struct.iter_unpack("<I", packed)}
            sizes[tuple(key)].append(len(packed))
    assert found == {
        key: [sum(row.count for row in rows), len(rows), {row.installation_id for row in rows}]
        for key, rows in groups.items()
    }
    assert {size for of_group in sizes.values() for size in of_group[:-1]} == {240 * 4}
    assert max(size for of_group in sizes.values() for size in of_group) == 240 * 4


@pytest.mark.parametrize("column", ["part", "events", "rows", "installations"])
@pytest.mark.parametrize("value", ["x", b"\xff", -1, 0.5])
def test_rows_are_stored_in_an_edited_store(store: Store, path: Path, column: str, value: object) -> None:
    store.append([ROW], received=DAY)
    edit(path, f"UPDATE daily SET {column} = ?", value)
    assert store.append([ROW._replace(uid=LATER_UID)], received=DAY) == 1
    assert [uid for uid, *_ in rows(path)] == [ROW.uid, LATER_UID]
    with reading(path) as connection:
        found = connection.execute("SELECT installations FROM daily WHERE typeof(installations) = 'blob'").fetchall()
    assert any(packed.endswith(bytes([1, 0, 0, 0])) and len(packed) % 4 == 0 for (packed,) in found)


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("UPDATE daily SET events = ?", 1e300),
        ("UPDATE daily SET rows = ?", 2**63 - 1),
        ("UPDATE installations SET id = ?", 2**62),
        ("UPDATE installations SET id = ?", -1),
        ("UPDATE active SET day = ?", "x"),
        ("UPDATE OR IGNORE active SET period = ?", 2**62),
    ],
)
def test_if_an_edited_value_is_in_the_way_the_rows_are_refused(
    store: Store, path: Path, statement: str, value: object
) -> None:
    store.append([ROW], received=DAY)
    edit(path, statement, value)
    with pytest.raises(StoreError, match=r"^A value in the store was edited and is not valid"):
        store.append([ROW._replace(uid=LATER_UID)], received=DAY)
    assert [uid for uid, *_ in rows(path)] in ([ROW.uid], [])  # without its installation, a row is not in the view


def edit(path: Path, statement: str, value: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, (value,))


DAILY = """
SELECT date(day * 86400, 'unixepoch'), name, deepchecks_version, lateness, events, daily.rows, installations
FROM daily JOIN categories ON categories.id = category JOIN events ON number = event
JOIN environments ON environments.id = environment ORDER BY day, category, part
"""
SUMS = (
    """
    SELECT day, event, deepchecks_version, lateness, sum(events), sum(rows)
    FROM daily JOIN categories ON categories.id = category JOIN environments ON environments.id = environment
    GROUP BY 1, 2, 3, 4
    """,
    "SELECT field, value, events, rows, installations FROM cells",
    "SELECT field, value, uuid FROM seen JOIN cells ON cells.id = cell JOIN installations i ON i.id = installation",
    "SELECT kind, uuid, period, day, version FROM active JOIN installations ON id = installation",
    "SELECT * FROM growth WHERE installations",
)


@given(rows=st.lists(st.integers(0, 10**6), min_size=1, max_size=60, unique=True), chance=st.randoms())
@settings(max_examples=40, deadline=None)
def test_the_sums_are_the_same_in_any_order_and_batches(rows: list[int], chance: Random) -> None:
    def row(number: int) -> Row:
        """A row whose day, version and installation follow from its number; there are few of each."""
        day = (DAY - timedelta(days=number % 97)).isoformat()
        environment = ROW.environment._replace(deepchecks_version=f"0.{number % 3}.0")
        event, who = list(EVENT_NUMBERS)[number % 5], str(UUID(int=number % 4))
        return Row(str(UUID(int=number)), day, event, number % 9 + 1, environment, who)

    with TemporaryDirectory() as folder:
        found = []
        for name, size in (("whole.db", len(rows)), ("parts.db", chance.randint(1, len(rows)))):
            with closing(Store(Path(folder) / name)) as store:
                for start in range(0, len(rows), size):
                    store.append([row(number) for number in rows[start : start + size + 1]], received=DAY)
            with reading(Path(folder) / name) as connection:
                found.append([sorted(connection.execute(query).fetchall()) for query in SUMS])
            chance.shuffle(rows)
    assert found[0] == found[1]
