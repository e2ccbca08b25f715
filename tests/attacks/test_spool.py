"""A spool that somebody made or edited to harm: it runs nothing, ends, loses no count, and reaches no wire.

Free text in an environment: tests/spool/batches/test_seal.py. What is shown of any value: tests/cli/test_hostile.py.
"""

import gzip
import hashlib
import json
import os
import shutil
import sqlite3
import struct
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.cli.errors import Failure
from deepchecks_telemetry.cli.look import _say_body
from deepchecks_telemetry.spool.batches.ledger import batches, mark_attempt
from deepchecks_telemetry.spool.batches.seal import YEAR, seal
from deepchecks_telemetry.spool.consent import resource as environment
from deepchecks_telemetry.spool.db import compaction as fold_
from deepchecks_telemetry.spool.db import connection as open_
from deepchecks_telemetry.spool.db.create import PAGE_BYTES as PAGE
from deepchecks_telemetry.spool.errors import Damaged
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.files.regular import JOURNAL
from deepchecks_telemetry.spool.recording import record as recording
from deepchecks_telemetry.spool.recording.watch import FIRST_DAY, today
from deepchecks_telemetry.spool.recovery import damaged_copy as remains_
from deepchecks_telemetry.spool.recovery import maintenance as upkeep
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.spool.wipe import erase
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.flush import flush
from deepchecks_telemetry.uploader.offline.export import export
from deepchecks_telemetry.uploader.wire.otlp import render
from deepchecks_telemetry.uploader.wire.outcome import Response

pytestmark = pytest.mark.timeout(60)
Sql = Callable[..., list[Any]]
SECRET = "acme-secret-project"
ENDLESS = "WITH RECURSIVE a (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) SELECT"
# What a schema can be made to do with the next record, or the next look.
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


def let_go() -> None:
    recording.close()


@pytest.fixture
def ours(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A spool of three events, which no process has open."""
    monkeypatch.setattr(upkeep, "SETTLED_S", 0.0)  # so nobody has to be waited for
    for name in ("run-check", "run-check", "run-suite"):
        assert recording.record(name)
    let_go()
    yield find_home()
    let_go()


@pytest.fixture
def sql(ours: Home) -> Sql:
    """Do what a person with an SQLite shell could do to the spool."""

    def execute(statement: str, *values: object) -> list[Any]:
        with closing(sqlite3.connect(ours.spool, isolation_level=None)) as connection:
            return connection.execute(statement, values).fetchall()

    return execute


@pytest.mark.parametrize("statements", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_a_schema_that_could_do_something_does_nothing_and_counting_goes_on(
    statements: str, ours: Home, sql: Sql
) -> None:
    with closing(sqlite3.connect(ours.spool, isolation_level=None)) as connection:
        try:
            connection.executescript(statements)
        except sqlite3.OperationalError:
            pytest.skip("this SQLite cannot do that")
    begun = time.monotonic()
    assert recording.record("run-check")
    books = read_accounts(ours)
    assert (books.pending, books.balance, books.attached_endpoint) == (1, 0, None)
    assert time.monotonic() - begun < 5  # unlooked at, a view would be counted: a billion steps, over 10 s
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
def test_what_a_newer_version_may_add_is_left_alone(statement: str, ours: Home, sql: Sql) -> None:
    sql(statement)
    before = sql("SELECT sql FROM sqlite_master")
    assert recording.record("run-check")
    assert read_accounts(ours).recorded == 4
    assert sql("SELECT sql FROM sqlite_master") == before


@pytest.mark.parametrize("where", ["spool", "copy"])
def test_a_journal_cannot_make_sqlite_delete_a_file(where: str, ours: Home, tmp_path: Path) -> None:
    """A journal's last part can name a file, which SQLite deletes (sqlite.org/src/file/src/pager.c, pager_delsuper)."""
    victim = tmp_path / "victim"
    victim.write_text("somebody's thesis")
    name = os.fsencode(victim)
    first = JOURNAL + struct.pack(">IIIII", 0, 0, os.path.getsize(ours.spool) // PAGE, 512, PAGE)
    last = struct.pack(">I", 2**30 // PAGE + 1) + name + struct.pack(">II", len(name), sum(name)) + JOURNAL
    path = ours.spool if where == "spool" else ours.spool + ".damaged-1"
    if where == "copy":
        shutil.move(ours.spool, path)
    Path(path + "-journal").write_bytes(first.ljust(512, b"\0") + last)
    assert recording.record("run-check")
    books = read_accounts(ours)
    assert victim.read_text() == "somebody's thesis"
    assert (books.recorded, books.balance) == (1, 0)
    kept = [name for name in sorted(os.listdir(ours.state)) if not name.startswith("spool.db.unreadable")]
    assert kept == ["spool.db", "spool.db-shm", "spool.db-wal", "spool.lock"]


def lead_in_circles(ours: Home, table: str) -> None:
    """Let a table's tree have 61 to the power of 8 leaves, which all are one: each level is one page."""
    with closing(sqlite3.connect(ours.spool, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [table]).fetchone()
    octets = Path(ours.spool).read_bytes()
    pages = [octets[at : at + PAGE] for at in range(0, len(octets), PAGE)]
    leaf, last = pages[root - 1], len(pages)
    pages[root - 1] = way_down(last + 1)
    pages += [*map(way_down, range(last + 2, last + 9)), leaf]
    first = bytearray(pages[0])
    first[28:32] = len(pages).to_bytes(4, "big")
    Path(ours.spool).write_bytes(b"".join([bytes(first), *pages[1:]]))


def way_down(below: int) -> bytes:
    """An inner page of a table (sqlite.org/fileformat2.html, 1.6): 60 cells and a last pointer, all to one page."""
    pointer = below.to_bytes(4, "big")
    starts = range(PAGE - 5, PAGE - 305, -5)
    header = b"\5\0\0" + (60).to_bytes(2, "big") + starts[-1].to_bytes(2, "big") + b"\0" + pointer
    ways = b"".join(start.to_bytes(2, "big") for start in starts)
    cells = b"".join(pointer + bytes([key]) for key in range(60, 0, -1))
    return header + ways + bytes(PAGE - len(header + ways + cells)) + cells


@pytest.mark.timeout(30, method="thread")  # a signal does not end a statement of SQLite's
@pytest.mark.parametrize("table", ["events", "spool"])
def test_a_tree_that_leads_in_circles_is_given_up(
    table: str, ours: Home, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (open_, fold_):
        monkeypatch.setattr(module, "HOST_VM_STEPS", 1_000_000)
    for module in (open_, remains_):
        monkeypatch.setattr(module, "COMMAND_VM_STEPS", 1_000_000)
    lead_in_circles(ours, table)
    begun = time.monotonic()
    recording.record("run-check")
    books = read_accounts(ours)
    assert time.monotonic() - begun < 20
    assert sql("SELECT count(*) FROM salvaged") == [(1,)]
    assert books.balance == 0
    assert recording.record("run-check")
    assert read_accounts(ours).pending == books.pending + 1


def sealed(ours: Home) -> list[dict[str, Any]]:
    """The records of the next request, with the installation that it names."""
    assert seal(ours, render)
    (batch,) = batches(ours)
    assert SECRET.encode() not in batch.body
    found: list[dict[str, Any]] = json.loads(batch.body)["resourceLogs"]
    return found


def installation(resource_logs: list[dict[str, Any]]) -> str:
    texts = {pair["key"]: pair["value"]["stringValue"] for pair in resource_logs[0]["resource"]["attributes"]}
    return str(texts["app.installation.id"])


@pytest.mark.parametrize("text", [SECRET, "", "0" * 36, f"{'0' * 8}-{'0' * 4}-{'0' * 4}-{'0' * 4}-{SECRET[:12]}"])
def test_an_identifier_that_is_no_uuid_is_replaced_before_it_is_sent(text: str, ours: Home, sql: Sql) -> None:
    sql("UPDATE spool SET installation = ?", text)
    told = installation(sealed(ours))
    assert told != text
    assert told == read_accounts(ours).installation_id
    assert [len(part) for part in told.split("-")] == [8, 4, 4, 4, 12]


HIDDEN = int.from_bytes(b"acme-co", "big")


@pytest.mark.parametrize(
    ("column", "value"), [("day", HIDDEN), ("day", -1), ("day", 2**16), ("count", HIDDEN), ("count", 0), ("count", -5)]
)
def test_a_number_that_could_be_a_text_is_dropped(column: str, value: int, ours: Home, sql: Sql) -> None:
    row = {"day": FIRST_DAY, "event": 3, "environment": 1, "count": 1} | {column: value}
    sql("INSERT INTO folded VALUES (?, ?, ?, ?)", *row.values())
    records = [record for group in sealed(ours) for record in group["scopeLogs"][0]["logRecords"]]
    assert sorted(record["attributes"][1]["value"]["intValue"] for record in records) == ["1", "2"]
    assert sql("SELECT count(*) FROM folded") == [(0,)]


def test_a_request_that_was_changed_is_not_sent_but_parked(ours: Home, sql: Sql) -> None:
    sealed(ours)
    sql("UPDATE batches SET packed = ?", gzip.compress(SECRET.encode()))
    (batch,) = batches(ours)
    assert mark_attempt(ours, batch, "https://receiver.example.org/v1/logs") is False
    (parked,) = batches(ours)
    assert (parked.state, parked.outcome, parked.attempts) == ("parked", "its bytes were changed", 0)
    assert recording.record("run-check")
    assert seal(ours, render)  # later ones get their turn
    assert read_accounts(ours).balance == 0


@pytest.mark.parametrize(
    "change",
    [(b'"script"', b'"acme-secret-project"'), (b"{", b'{"acme-secret-project":1,'), (b"}", b"} ")],
    ids=["a value", "a key", "a blank"],
)
def test_a_request_that_was_changed_with_its_digest_is_not_sent_either(
    change: tuple[bytes, bytes], ours: Home, sql: Sql
) -> None:
    sealed(ours)
    place = f'"{environment.current().runtime}"'.encode()
    body = batches(ours)[0].body.replace(place, b'"script"').replace(*change, 1)
    sql("UPDATE batches SET packed = ?, sha256 = ?", gzip.compress(body), hashlib.sha256(body).hexdigest())
    posted: list[bytes] = []

    def post(_: Endpoint, packed: bytes) -> Response:
        posted.append(packed)
        return Response(200, {}, b"{}")

    assert recording.record("run-check")
    told = list(flush(ours, Endpoint("https://receiver.example.org/v1/logs", "a test"), post=post))
    assert [sent.outcome.kind for sent in told] == ["parked", "delivered"]
    assert len(posted) == 1
    assert SECRET.encode() not in gzip.decompress(posted[0])


def test_a_request_that_was_changed_is_not_exported(ours: Home, sql: Sql, tmp_path: Path) -> None:
    sealed(ours)
    sql("UPDATE batches SET packed = ?", gzip.compress(SECRET.encode()))
    (tmp_path / "stick").mkdir()
    assert list(export(ours, str(tmp_path / "stick"))) == []
    assert list((tmp_path / "stick").iterdir()) == []
    assert [batch.state for batch in batches(ours)] == ["parked"]


@pytest.mark.parametrize(
    "packed",
    [b"", b"no gzip", gzip.compress(b"{}", mtime=0), "text", None],
    ids=["empty", "none", "another", "text", "null"],
)
def test_bytes_that_are_no_request_are_damage(packed: object, ours: Home, sql: Sql) -> None:
    sealed(ours)
    sql("UPDATE batches SET packed = ?", packed)
    with pytest.raises(Damaged):
        _ = batches(ours)[0].body


def test_a_body_of_gigabytes_in_a_megabyte_is_not_unpacked(ours: Home, sql: Sql) -> None:
    sealed(ours)
    bomb = gzip.compress(bytes(64 * 2**20), compresslevel=1)
    sql("UPDATE batches SET packed = ?", bomb)
    (batch,) = batches(ours)
    tracemalloc.start()
    try:
        with pytest.raises(Damaged):
            _ = batch.body
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("body", [b"\x1b[2J", "\u202e".encode(), b"\xff"], ids=["escape", "right to left", "no text"])
def test_bytes_that_a_terminal_would_obey_are_not_shown(
    body: bytes, ours: Home, sql: Sql, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed(ours)
    sql("UPDATE batches SET packed = ?, sha256 = ?", gzip.compress(body), hashlib.sha256(body).hexdigest())
    with pytest.raises(Failure, match="not a valid request"):
        _say_body(batches(ours)[0])
    assert capsys.readouterr().out == ""


def day(ours: Home) -> int:
    with closing(sqlite3.connect(ours.spool)) as connection:
        (found,) = connection.execute("SELECT installed_day FROM spool").fetchone()
        return int(found)


@pytest.mark.parametrize("away", [YEAR, YEAR + 400, -YEAR, 50_000])
def test_after_a_year_the_installation_has_another_identifier(away: int, ours: Home, sql: Sql) -> None:
    first = read_accounts(ours).installation_id
    sql("UPDATE spool SET installed_day = ?", today() - away)
    told = installation(sealed(ours))
    assert told != first
    assert (read_accounts(ours).installation_id, day(ours)) == (told, today())


@pytest.mark.parametrize("away", [0, 1, YEAR - 1, -1])
def test_until_then_it_keeps_the_one_it_has(away: int, ours: Home, sql: Sql) -> None:
    first = read_accounts(ours).installation_id
    sql("UPDATE spool SET installed_day = ?", today() - away)
    assert installation(sealed(ours)) == first
    assert day(ours) == today() - away


def test_what_was_sealed_before_keeps_its_identifier_and_its_bytes(ours: Home, sql: Sql) -> None:
    first = installation(sealed(ours))
    (before,) = batches(ours)
    assert recording.record("run-check")
    sql("UPDATE spool SET installed_day = ?", today() - YEAR)
    assert seal(ours, render, behind=True)
    older, newer = batches(ours)
    assert older == before
    assert installation(json.loads(newer.body)["resourceLogs"]) != first
    assert first.encode() not in newer.body


def test_where_nothing_is_sealed_the_identifier_stays(ours: Home, sql: Sql) -> None:
    sealed(ours)
    first = read_accounts(ours).installation_id
    sql("UPDATE spool SET installed_day = ?", today() - YEAR)
    assert seal(ours, render) is False
    assert read_accounts(ours).installation_id == first


def test_a_disable_takes_the_second_identifier_too(ours: Home, sql: Sql) -> None:
    first = installation(sealed(ours))
    assert recording.record("run-check")
    sql("UPDATE spool SET installed_day = ?", today() - YEAR)
    assert seal(ours, render, behind=True)
    second = read_accounts(ours).installation_id
    let_go()
    erase(ours)
    content = b"".join(path.read_bytes() for path in Path(ours.state).iterdir())
    assert first.encode() not in content
    assert str(second).encode() not in content
