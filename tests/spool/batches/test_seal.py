"""Pending events become a batch of rows with unique uids, and its bytes never change."""

import gzip
import hashlib
import os
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches import seal as sealing
from deepchecks_telemetry.spool.batches.ledger import Disposition, batches, settle
from deepchecks_telemetry.spool.batches.seal import MAX_ROWS, Row, seal
from deepchecks_telemetry.spool.consent.resource import current
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.recording.watch import today
from deepchecks_telemetry.spool.states import BatchState
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.spool.wipe import erase

Sql = Callable[..., list[Any]]
Render = Callable[[str, list[Row]], bytes]
SECRET = "acme-secret-project"


def many(sql: Sql, count: int) -> None:
    """Add `count` different counts, one a day."""
    sql(
        "WITH RECURSIVE days (day) AS (SELECT 1 UNION ALL SELECT day + 1 FROM days WHERE day < ?) "
        "INSERT INTO events (day, event, environment) SELECT day, 2, 1 FROM days",
        count,
    )


def test_pending_events_are_sealed_by_day_event_and_environment(dirs: Home, sql: Sql) -> None:
    for name in ["run-check", "run-suite", "run-check"]:
        assert record(name)
    seen: list[Row] = []

    def show(installation: str, rows: list[Row]) -> bytes:
        seen.extend(rows)
        return b"body"

    assert seal(dirs, show) is True
    assert sorted((row.event, row.count, row.environment) for row in seen) == [
        ("run-check", 2, current()),
        ("run-suite", 1, current()),
    ]
    stored = sql("SELECT uid, day, count FROM rows ORDER BY uid")
    assert stored == sorted((row.uid, row.day, row.count) for row in seen)
    stats = read_accounts(dirs)
    assert (stats.pending, stats.sealed, stats.batches, stats.balance) == (0, 3, 1, 0)


def test_a_batch_has_the_bytes_that_were_rendered(dirs: Home, render: Render) -> None:
    assert record("run-check")
    assert seal(dirs, render, clock=lambda: 1234.5)
    (batch,) = batches(dirs)
    installation = read_accounts(dirs).installation_id
    assert installation is not None
    assert batch.body.startswith(installation.encode())
    assert gzip.decompress(batch.packed) == batch.body
    assert hashlib.sha256(batch.body).hexdigest() == batch.sha256
    assert (batch.state, batch.sealed_at, batch.rows, batch.events, batch.attempts) == ("sealed", 1234, 1, 1, 0)


def test_nothing_is_sealed_twice_or_while_a_batch_is_sealed(dirs: Home, render: Render) -> None:
    for _ in range(3):
        assert record("run-check")
        seal(dirs, render)
    (first,) = batches(dirs)
    assert (first.events, read_accounts(dirs).pending) == (1, 2)
    assert settle(dirs, first, Disposition(BatchState.DELIVERED, "delivered"))
    assert seal(dirs, render) is True
    assert [batch.events for batch in batches(dirs, states=("sealed",))] == [2]
    assert read_accounts(dirs).balance == 0


def test_a_parked_batch_does_not_block_the_next_one(dirs: Home, render: Render) -> None:
    assert record("run-check")
    assert seal(dirs, render)
    assert settle(dirs, batches(dirs)[0], Disposition(BatchState.PARKED, "HTTP 413"))
    assert record("run-check")
    assert seal(dirs, render)
    assert [batch.state for batch in batches(dirs)] == ["parked", "sealed"]


def test_at_eight_parked_batches_nothing_more_is_sealed(dirs: Home, render: Render) -> None:
    for _ in range(8):
        assert record("run-check")
        assert seal(dirs, render)
        assert settle(dirs, batches(dirs, states=("sealed",))[0], Disposition(BatchState.PARKED, "HTTP 403"))
    assert record("run-check")
    assert seal(dirs, render) is False
    assert seal(dirs, render, while_unsent=True) is True  # except for an export
    assert settle(dirs, batches(dirs)[-1], Disposition(BatchState.PARKED, "HTTP 403"))
    assert record("run-check")
    assert seal(dirs, render) is False
    for batch in batches(dirs)[:2]:
        assert settle(dirs, batch, Disposition(BatchState.DELIVERED, "delivered"))
    assert seal(dirs, render) is True


def test_settled_batches_do_not_block_sealing(dirs: Home, render: Render) -> None:
    for _ in range(9):
        assert record("run-check")
        assert seal(dirs, render)
        assert settle(dirs, batches(dirs, states=("sealed",))[0], Disposition(BatchState.DELIVERED, "delivered"))


def test_without_pending_events_nothing_is_sealed(dirs: Home, render: Render) -> None:
    assert record("run-check")
    assert seal(dirs, render)
    assert settle(dirs, batches(dirs)[0], Disposition(BatchState.DELIVERED, "delivered"))
    assert seal(dirs, render) is False
    assert len(batches(dirs)) == 1


def test_a_batch_has_at_most_max_rows_oldest_first(dirs: Home, render: Render, sql: Sql) -> None:
    assert record("run-check")
    many(sql, MAX_ROWS + 5)
    assert seal(dirs, render)
    assert sql("SELECT count(*), min(day), max(day) FROM rows") == [(MAX_ROWS, 1, MAX_ROWS)]
    assert settle(dirs, batches(dirs)[0], Disposition(BatchState.DELIVERED, "delivered"))
    assert seal(dirs, render)
    assert sql("SELECT count(*) FROM rows") == [(6,)]
    assert read_accounts(dirs).balance == 0


def test_rows_are_ordered_by_day_and_environment(dirs: Home, sql: Sql) -> None:
    """The body contains an environment once for all its consecutive rows."""
    assert record("package-import")
    sql("INSERT INTO environments SELECT 2, '1.0', 'linux', 'ubuntu', '22.04', 'cpython', '3.11', 'script'")
    waiting = [(2, 2, 1), (2, 1, 2), (2, 1, 1), (1, 3, 1), (1, 2, 2)]
    for key in [*waiting, *waiting[::-1]]:
        sql("INSERT INTO events (day, event, environment) VALUES (?, ?, ?)", *key)
    seen: list[tuple[int, str, str]] = []

    def show(installation: str, rows: list[Row]) -> bytes:
        seen.extend((row.day, row.environment.deepchecks_version, row.event) for row in rows[:-1])
        return b"body"

    assert seal(dirs, show)
    version = current().deepchecks_version
    assert seen == [
        (1, version, "run-suite"),
        (1, "1.0", "run-check"),
        (2, version, "package-import"),
        (2, version, "run-check"),
        (2, "1.0", "package-import"),
    ]


def test_a_batch_contains_no_time_of_day(dirs: Home, render: Render) -> None:
    """A gzip header can contain one (RFC 1952, MTIME)."""
    assert record("run-check")
    assert seal(dirs, render)
    assert batches(dirs)[0].packed[4:8] == bytes(4)


def test_sealing_truncates_the_wal(dirs: Home, render: Render) -> None:
    assert record("run-check")
    assert os.path.getsize(dirs.spool + "-wal") > 0
    assert seal(dirs, render)
    assert os.path.getsize(dirs.spool + "-wal") == 0


def test_directly_after_another_batch_only_one_table_is_checked(
    dirs: Home, render: Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def note(home: Home, act: Callable[[], bool], *, check_tables: Iterable[str]) -> bool:
        seen.append(list(check_tables))
        return act()

    monkeypatch.setattr(sealing, "with_maintenance", note)
    assert record("run-check")
    assert seal(dirs, render)
    assert seal(dirs, render, already_checked=True) is False
    assert seen == [["events", "folded", "rows", "batches", "tallies"], ["batches"]]


def test_every_uid_is_a_unique_uuid(dirs: Home, render: Render, sql: Sql) -> None:
    assert record("run-check")
    many(sql, 400)
    assert seal(dirs, render)
    uids = [uid for (uid,) in sql("SELECT uid FROM rows")]
    assert len({uuid.UUID(uid) for uid in uids}) == 401
    assert {uuid.UUID(uid).version for uid in uids} == {4}


@pytest.mark.parametrize("column", ["deepchecks_version", "os_type", "os_name", "os_version", "python_name", "runtime"])
@pytest.mark.parametrize("text", [SECRET, f"1.0+{SECRET}", f"linux\n{SECRET}", f"ubuntu {SECRET}"])
def test_free_text_in_an_edited_file_is_dropped_and_counted(
    dirs: Home, render: Render, sql: Sql, column: str, text: str
) -> None:
    assert record("run-check")
    sql(f"UPDATE environments SET {column} = ?", text)
    sql("INSERT INTO environments SELECT 77, '1.0', 'linux', 'ubuntu', '22.04', 'cpython', '3.11', 'script'")
    sql("INSERT INTO events (day, event, environment) VALUES (1, 2, 77)")
    assert seal(dirs, render)
    (batch,) = batches(dirs)
    assert b"22.04" in batch.body
    assert SECRET.encode() not in batch.body
    stats = read_accounts(dirs)
    assert (stats.sealed, stats.dropped, stats.balance) == (1, {"unknown": 1}, 0)


@pytest.mark.parametrize("edit", ["event = 99", "environment = 12345"])
def test_an_unknown_number_is_dropped_and_counted_on_each_day(dirs: Home, render: Render, sql: Sql, edit: str) -> None:
    assert record("run-check")
    many(sql, 3)
    sql(f"UPDATE events SET {edit}")
    assert seal(dirs, render) is False
    stats = read_accounts(dirs)
    assert (stats.pending, stats.batches, stats.dropped, stats.balance) == (0, 0, {"unknown": 4}, 0)


def test_an_error_in_render_changes_nothing(dirs: Home, render: Render) -> None:
    assert record("run-check")

    def fail(installation: str, rows: list[Row]) -> bytes:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        seal(dirs, fail)
    stats = read_accounts(dirs)
    assert (stats.pending, stats.batches, stats.balance) == (1, 0, 0)
    assert seal(dirs, render)


@pytest.mark.parametrize(("epoch", "sealed"), [(1, False), (2, True), (3, False), (4, True)])
def test_an_odd_epoch_means_a_closed_fence(dirs: Home, render: Render, sql: Sql, epoch: int, sealed: bool) -> None:
    assert record("run-check")
    sql("UPDATE spool SET epoch = ?", epoch)
    assert seal(dirs, render) is sealed


def test_without_an_installation_id_nothing_is_sealed(dirs: Home, render: Render, sql: Sql) -> None:
    assert record("run-check")
    sql("UPDATE spool SET installation = NULL")
    assert seal(dirs, render) is False
    assert read_accounts(dirs).pending == 1


def test_an_invalid_count_is_not_added_to_the_drops(dirs: Home, render: Render, sql: Sql) -> None:
    assert record("run-check")
    for event, count in ((2, 10**15), (3, -5), (99, 4)):
        sql("INSERT INTO folded (day, event, environment, count) VALUES (1, ?, 1, ?)", event, count)
    assert seal(dirs, render)
    stats = read_accounts(dirs)
    assert (stats.sealed, stats.dropped) == (1, {"unknown": 4})


@pytest.mark.parametrize(
    ("since", "lasts"), [("? - 364", True), ("? - 365", False), ("NULL", False), ("'soon'", False), ("-1", False)]
)
def test_an_id_lasts_365_days_if_its_day_is_known(
    dirs: Home, render: Render, sql: Sql, since: str, lasts: bool
) -> None:
    assert record("run-check")
    before = read_accounts(dirs).installation_id
    sql(f"UPDATE spool SET installed_day = {since}", *[today()] * since.count("?"))
    assert seal(dirs, render)
    assert (read_accounts(dirs).installation_id == before) is lasts
    assert batches(dirs)[0].body.startswith(str(read_accounts(dirs).installation_id).encode())
    assert lasts or sql("SELECT installed_day FROM spool") == [(today(),)]


def test_with_a_closed_fence_nothing_is_sealed(dirs: Home, render: Render, sql: Sql) -> None:
    assert record("run-check")
    sql("UPDATE spool SET epoch = epoch + 1")
    assert seal(dirs, render) is False
    erase(dirs)
    assert seal(dirs, render) is False
    assert batches(dirs) == []
