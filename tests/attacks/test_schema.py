"""A hostile schema, journal or b-tree runs no code, blocks nothing and deletes nothing; recording continues."""

import os
import shutil
import sqlite3
import struct
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.spool.stored import stored

from deepchecks_telemetry.spool.db import compaction
from deepchecks_telemetry.spool.db import connection as db_connection
from deepchecks_telemetry.spool.db.create import PAGE_BYTES
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.regular import JOURNAL_MAGIC
from deepchecks_telemetry.spool.recording import record as recording
from deepchecks_telemetry.spool.recovery import damaged_copy
from deepchecks_telemetry.spool.stats import read_accounts

pytestmark = pytest.mark.timeout(60)
Sql = Callable[..., list[Any]]
SECRET = "acme-secret-project"


ENDLESS = "WITH RECURSIVE a (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) SELECT"
# What a schema can do at the next record, or the next read.
SCHEMAS = {
    "a trigger that writes": "CREATE TRIGGER t AFTER INSERT ON events BEGIN UPDATE spool SET endpoint = 'owned'; END",
    "a trigger that never ends": f"CREATE TRIGGER t AFTER INSERT ON events BEGIN {ENDLESS} count(*) FROM a; END",
    "a trigger that takes memory": "CREATE TRIGGER t BEFORE INSERT ON events BEGIN SELECT hex(randomblob(4e8)); END",
    "a view of another name": f"CREATE VIEW more AS {ENDLESS} x FROM a",
    "a view in place of a table": "ALTER TABLE tallies RENAME TO old; "
    f"CREATE VIEW tallies (name, count) AS {ENDLESS} 'delivered', x FROM a",
    "a view in place of the events": "ALTER TABLE events RENAME TO old; "
    f"CREATE VIEW events (id, day, event, environment) AS {ENDLESS} x, 1, 2, 1 FROM a",
    "a generated column": "ALTER TABLE events ADD COLUMN more AS (hex(zeroblob(300000000)))",
    "a check": "CREATE TABLE more (x CHECK (length(hex(randomblob(3e8))) > 0))",
    "a default": "CREATE TABLE more (x DEFAULT (hex(randomblob(3e8))))",
    "an index of an expression": "CREATE INDEX more ON events (abs(day))",
    "an index of some rows": "CREATE INDEX more ON events (day) WHERE day > abs(environment)",
    "a virtual table": "CREATE VIRTUAL TABLE more USING fts5(x)",
}


@pytest.mark.parametrize("statements", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_a_hostile_schema_does_nothing_and_recording_continues(statements: str, dirs: Home, sql: Sql) -> None:
    with closing(sqlite3.connect(dirs.spool, isolation_level=None)) as connection:
        try:
            connection.executescript(statements)
        except sqlite3.OperationalError:
            pytest.skip("this SQLite cannot do that")
    begun = time.monotonic()
    assert recording.record("run-check")
    stats = read_accounts(dirs)
    assert (stats.pending, stats.balance, stored(dirs).endpoint) == (1, 0, None)
    assert time.monotonic() - begun < 5  # without the check, a view would be counted: a billion steps, over 10 s
    assert sql("SELECT name FROM sqlite_master WHERE type IN ('trigger', 'view') OR name = 'more'") == []


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE weather (day INTEGER, what TEXT NOT NULL DEFAULT 1)",
        "ALTER TABLE spool ADD COLUMN weather TEXT",
        'CREATE TABLE "more" (\n   "id" INTEGER PRIMARY KEY,\n   "what" TEXT\n)',
        "CREATE INDEX more ON rows (batch, day)",
        "ANALYZE",
    ],
)
def test_additions_that_a_newer_version_may_make_are_accepted(statement: str, dirs: Home, sql: Sql) -> None:
    sql(statement)
    before = sql("SELECT sql FROM sqlite_master")
    assert recording.record("run-check")
    assert read_accounts(dirs).recorded == 4
    assert sql("SELECT sql FROM sqlite_master") == before


@pytest.mark.parametrize("where", ["spool", "copy"])
def test_a_journal_cannot_make_sqlite_delete_a_file(where: str, dirs: Home, tmp_path: Path) -> None:
    """A journal can name a file at its end, which SQLite deletes (sqlite.org/src/file/src/pager.c, pager_delsuper)."""
    victim = tmp_path / "victim"
    victim.write_text("somebody's thesis")
    name = os.fsencode(victim)
    first = JOURNAL_MAGIC + struct.pack(">IIIII", 0, 0, os.path.getsize(dirs.spool) // PAGE_BYTES, 512, PAGE_BYTES)
    last = struct.pack(">I", 2**30 // PAGE_BYTES + 1) + name + struct.pack(">II", len(name), sum(name)) + JOURNAL_MAGIC
    path = dirs.spool if where == "spool" else dirs.spool + ".damaged-1"
    if where == "copy":
        shutil.move(dirs.spool, path)
    Path(path + "-journal").write_bytes(first.ljust(512, b"\0") + last)
    assert recording.record("run-check")
    stats = read_accounts(dirs)
    assert victim.read_text() == "somebody's thesis"
    assert (stats.recorded, stats.balance) == (1, 0)
    kept = [name for name in sorted(os.listdir(dirs.state)) if not name.startswith("spool.db.unreadable")]
    assert kept == ["spool.db", "spool.db-shm", "spool.db-wal", "spool.lock"]


def make_cycle(dirs: Home, table: str) -> None:
    """Give a table's tree 61 to the power of 8 leaves, all the same page: each level is one page."""
    with closing(sqlite3.connect(dirs.spool, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [table]).fetchone()
    octets = Path(dirs.spool).read_bytes()
    pages = [octets[at : at + PAGE_BYTES] for at in range(0, len(octets), PAGE_BYTES)]
    leaf, last = pages[root - 1], len(pages)
    pages[root - 1] = interior_page(last + 1)
    pages += [*map(interior_page, range(last + 2, last + 9)), leaf]
    first = bytearray(pages[0])
    first[28:32] = len(pages).to_bytes(4, "big")
    Path(dirs.spool).write_bytes(b"".join([bytes(first), *pages[1:]]))


def interior_page(below: int) -> bytes:
    """An interior page of a table (sqlite.org/fileformat2.html, 1.6): 60 cells and a last pointer, all to one page."""
    pointer = below.to_bytes(4, "big")
    starts = range(PAGE_BYTES - 5, PAGE_BYTES - 305, -5)
    header = b"\5\0\0" + (60).to_bytes(2, "big") + starts[-1].to_bytes(2, "big") + b"\0" + pointer
    ways = b"".join(start.to_bytes(2, "big") for start in starts)
    cells = b"".join(pointer + bytes([key]) for key in range(60, 0, -1))
    return header + ways + bytes(PAGE_BYTES - len(header + ways + cells)) + cells


@pytest.mark.timeout(30, method="thread")  # a signal does not interrupt a statement of SQLite
@pytest.mark.parametrize("table", ["events", "spool"])
def test_a_cyclic_tree_is_given_up(table: str, dirs: Home, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (db_connection, compaction):
        monkeypatch.setattr(module, "HOST_VM_STEPS", 1_000_000)
    for module in (db_connection, damaged_copy):
        monkeypatch.setattr(module, "COMMAND_VM_STEPS", 1_000_000)
    make_cycle(dirs, table)
    begun = time.monotonic()
    recording.record("run-check")
    stats = read_accounts(dirs)
    assert time.monotonic() - begun < 20
    assert sql("SELECT count(*) FROM salvaged") == [(1,)]
    assert stats.balance == 0
    assert recording.record("run-check")
    assert read_accounts(dirs).pending == stats.pending + 1
