"""What can be read of a damaged spool is recovered once, and the rest is counted as lost."""

import os
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.ledger import Disposition, batches, settle
from deepchecks_telemetry.spool.batches.seal import Row, seal
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.db.create import PAGE_BYTES
from deepchecks_telemetry.spool.errors import Unusable
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.quarantine import quarantine, quarantined
from deepchecks_telemetry.spool.files.regular import file_id
from deepchecks_telemetry.spool.recording import record as recording
from deepchecks_telemetry.spool.recovery import damaged_copy, maintenance
from deepchecks_telemetry.spool.recovery.damaged_copy import UNKNOWN_ENVIRONMENT, last_credible
from deepchecks_telemetry.spool.recovery.recover import salvage
from deepchecks_telemetry.spool.states import BatchState
from deepchecks_telemetry.spool.stats import read_accounts, read_unsent

Run = Callable[..., str]
Sql = Callable[..., list[Any]]
Render = Callable[[str, list[Row]], bytes]

# A process that leaves its WAL, like a killed one: events in the WAL, counts in the file.
FILL = """
import os
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.db.compaction import compact
from deepchecks_telemetry.spool.db.connection import opened
assert all(record("run-check") for _ in range(50))
with opened(find_home()) as connection:
    compact(find_home(), connection)
assert all(record("run-suite") for _ in range(30))
os._exit(0)
"""


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "SETTLED_S", 0.0)


@pytest.fixture
def filled(dirs: Home, run: Run) -> Home:
    """A spool with 50 folded events and 30 raw ones in its WAL, which no process has open."""
    run(FILL)
    return dirs


def overwrite(path: str, at: int, octets: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(octets)


def root_of(sql: Sql, name: str) -> int:
    ((page,),) = sql("SELECT rootpage FROM sqlite_master WHERE name = ?", name)
    return PAGE_BYTES * (int(page) - 1)


def quarantine_all(dirs: Home) -> None:
    recording.close()  # Windows does not rename an open file
    quarantine(dirs, file_id(dirs.spool))


def counts(dirs: Home) -> dict[str, int]:
    found: Counter[str] = Counter()
    for waiting in read_unsent(dirs):
        found[waiting.event] += waiting.count
    return dict(found)


def test_everything_in_an_intact_copy_is_recovered(dirs: Home, sql: Sql, render: Render) -> None:
    for name in ("run-check", "run-suite", "run-suite"):
        assert record(name)
        assert seal(dirs, render)
        (batch,) = batches(dirs, states=("sealed",))
        settle(dirs, batch, Disposition(BatchState({"run-check": "delivered"}.get(name, "parked")), "a test"))
    assert all(record("run-check") for _ in range(5))
    sql("INSERT INTO tallies VALUES ('dropped:busy', 3)")
    before, ledger, waiting = read_accounts(dirs), batches(dirs), read_unsent(dirs)
    assert before.balance == 0
    quarantine_all(dirs)
    assert read_accounts(dirs) == before
    assert batches(dirs) == ledger
    assert read_unsent(dirs) == waiting
    assert sql("SELECT saved, lost FROM salvaged") == [(11, 0)]
    assert quarantined(dirs) == []


def test_a_copy_is_salvaged_once_even_if_it_is_not_removed(filled: Home, sql: Sql) -> None:
    quarantine_all(filled)
    (copy,) = quarantined(filled)
    octets = {suffix: Path(copy + suffix).read_bytes() for suffix in ("", "-wal")}
    assert counts(filled) == {"run-check": 50, "run-suite": 30}
    for suffix, content in octets.items():  # a crash between the commit and the removal
        Path(copy + suffix).write_bytes(content)
    assert counts(filled) == {"run-check": 50, "run-suite": 30}
    assert quarantined(filled) == []


def test_a_damaged_index_loses_no_row(filled: Home, sql: Sql) -> None:
    overwrite(filled.spool, root_of(sql, "sqlite_autoindex_environments_1"), os.urandom(PAGE_BYTES))
    assert record("run-check")
    assert counts(filled) == {"run-check": 51, "run-suite": 30}
    stats = read_accounts(filled)
    assert (stats.dropped, stats.balance) == ({}, 0)


@pytest.mark.parametrize("offset", [0, 16, 28, 100, 103, 150, 400, 900])
def test_a_spool_with_a_broken_schema_is_kept_and_recording_continues(filled: Home, offset: int) -> None:
    overwrite(filled.spool, offset, b"\xff\xf5\xa7")
    Path(filled.spool + "-wal").write_bytes(b"")
    quarantine_all(filled)
    assert read_accounts(filled).balance == 0
    assert record("run-suite")
    assert counts(filled)["run-suite"] >= 1
    assert quarantined(filled) == []


def test_an_event_without_its_environment_gets_the_unknown_one(filled: Home, sql: Sql) -> None:
    sql("PRAGMA wal_checkpoint(TRUNCATE)")
    overwrite(filled.spool, root_of(sql, "environments"), bytes(PAGE_BYTES))
    quarantine_all(filled)
    found = read_unsent(filled)
    assert sum(waiting.count for waiting in found) == 80
    assert {tuple(waiting.environment) for waiting in found} == {tuple(UNKNOWN_ENVIRONMENT)}
    assert read_accounts(filled).balance == 0


def test_lost_events_are_counted_and_the_sums_agree(filled: Home, sql: Sql) -> None:
    sql("PRAGMA wal_checkpoint(TRUNCATE)")
    overwrite(filled.spool, root_of(sql, "folded"), os.urandom(PAGE_BYTES))
    quarantine_all(filled)
    stats = read_accounts(filled)
    assert (stats.recorded, stats.pending, stats.dropped, stats.balance) == (80, 30, {"damage": 50}, 0)
    assert sql("SELECT saved, lost FROM salvaged") == [(30, 50)]


def test_a_file_that_is_not_a_database_is_kept_and_not_read_again(filled: Home) -> None:
    Path(filled.spool).write_text("Dear diary")
    os.unlink(filled.spool + "-wal")
    assert record("run-suite")
    assert counts(filled) == {"run-suite": 1}
    assert Path(filled.spool + ".unreadable").read_text() == "Dear diary"
    assert quarantined(filled) == []


@pytest.mark.parametrize("state", ["sealed", "parked", "exported"])
@pytest.mark.parametrize("attempts", [0, 1])
def test_only_a_batch_that_was_never_tried_is_sealed_again(
    dirs: Home, sql: Sql, render: Render, state: str, attempts: int
) -> None:
    assert record("run-check")
    assert seal(dirs, render)
    sql("UPDATE batches SET packed = x'1f8b', state = ?, attempts = ?", state, attempts)
    quarantine_all(dirs)
    stats = read_accounts(dirs)
    again = attempts == 0 and state != "exported"
    assert (stats.pending, stats.dropped, stats.balance) == (int(again), {} if again else {"damage": 1}, 0)
    assert stats.batches == 0


def test_a_dropped_export_is_recovered_for_a_late_receipt(dirs: Home, sql: Sql, render: Render) -> None:
    assert record("run-check")
    assert seal(dirs, render)
    sql("UPDATE batches SET packed = x'', state = 'dropped'")
    sql("INSERT INTO tallies VALUES ('dropped:unsettled', 1)")
    quarantine_all(dirs)
    stats = read_accounts(dirs)
    assert (stats.exported, stats.dropped, stats.balance) == (0, {"unsettled": 1}, 0)
    (batch,) = batches(dirs)
    assert settle(dirs, batch, Disposition(BatchState.DELIVERED, "from a receipt"), reschedule=False)
    stats = read_accounts(dirs)
    assert (stats.delivered, stats.dropped, stats.balance) == (1, {}, 0)


@pytest.mark.parametrize(
    ("column", "value"), [("endpoint", b"\xff\xfe"), ("tried_at", "soon"), ("state", "lost"), ("events", 2**50)]
)
def test_a_batch_with_an_invalid_value_is_not_recovered(
    dirs: Home, sql: Sql, render: Render, column: str, value: Any
) -> None:
    assert record("run-check")
    assert seal(dirs, render)
    sql(f"UPDATE batches SET {column} = ?, attempts = 1", value)
    quarantine_all(dirs)
    assert batches(dirs) == []
    assert read_accounts(dirs).balance == 0


def test_free_text_is_not_recovered(dirs: Home, sql: Sql) -> None:
    assert record("run-check")
    sql("INSERT INTO tallies VALUES ('dropped:by Jane Doe', 2), ('dropped:busy', 1)")
    sql("UPDATE spool SET installation = 'Jane Doe'")
    sql("INSERT INTO environments VALUES (9, 'a', 'b', 'c', 'd', 'e', 'f', 'Jane Doe')")
    sql("INSERT INTO folded VALUES (20500, 1, 9, 5)")
    quarantine_all(dirs)
    stats = read_accounts(dirs)
    assert stats.dropped == {"busy": 1}
    assert stats.installation_id != "Jane Doe"
    assert not [waiting for waiting in read_unsent(dirs) if "Jane Doe" in waiting.environment]


def test_a_full_disk_loses_no_row(filled: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    quarantine_all(filled)
    with monkeypatch.context() as patch:

        def full(*_: object, **__: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        patch.setattr(damaged_copy, "_read_tables", full)
        with pytest.raises(Unusable):
            read_accounts(filled)
    assert len(quarantined(filled)) == 1
    assert counts(filled) == {"run-check": 50, "run-suite": 30}


def test_a_crash_during_a_salvage_adds_nothing(filled: Home) -> None:
    quarantine_all(filled)
    (copy,) = quarantined(filled)
    from deepchecks_telemetry.spool.db.create import create

    create(filled, 1.0)
    with opened(filled) as connection:
        connection.execute("BEGIN IMMEDIATE")
        assert salvage(connection, copy)
        connection.execute("ROLLBACK")
        assert connection.execute("SELECT count(*) FROM folded").fetchone() == (0,)
    assert counts(filled) == {"run-check": 50, "run-suite": 30}


@pytest.mark.parametrize(
    ("ids", "last"),
    [([], 0), ([7], 7), ([5_000_000, 5_000_001], 5_000_001), ([1, 2, 3, 2**39], 3), ([1, 90_000], 90_000)],
)
def test_an_id_far_ahead_is_not_the_count(ids: list[int], last: int) -> None:
    assert last_credible(ids) == last
