"""Each change of the spool waits for the file lock and for other transactions, on every file system."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.spool import choice, record, wipe
from deepchecks_telemetry.spool.batches import ledger
from deepchecks_telemetry.spool.batches import seal as sealing
from deepchecks_telemetry.spool.batches.export_files import remove_exports
from deepchecks_telemetry.spool.batches.ledger import Batch, Disposition, batches, mark_attempt, settle
from deepchecks_telemetry.spool.batches.seal import Row, seal
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.db import busy, emptying
from deepchecks_telemetry.spool.db import connection as db_connection
from deepchecks_telemetry.spool.db.compaction import checkpoint
from deepchecks_telemetry.spool.errors import Busy, Unusable
from deepchecks_telemetry.spool.files import directory
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.recording import record as recording
from deepchecks_telemetry.spool.states import BatchState
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.spool.wipe import erase

Sql = Callable[..., list[Any]]
Render = Callable[[str, list[Row]], bytes]
URL = "https://collector.example.org/v1/logs"

ACTS: dict[str, Callable[[Home, Batch], object]] = {
    "choose": lambda home, _: choose(home, "on"),
    "seal": lambda home, _: seal(home, lambda *_: b"body", while_unsent=True),
    "begin": lambda home, batch: mark_attempt(home, batch, URL),
    "settle": lambda home, batch: settle(home, batch, Disposition(BatchState.DELIVERED, "a test")),
    "erase": lambda home, _: erase(home),
}


@pytest.fixture
def batch(dirs: Home, render: Render, monkeypatch: pytest.MonkeyPatch) -> Batch:
    """A sealed batch and a pending event; waits time out soon."""
    assert record("run-check")
    assert seal(dirs, render)
    assert record("run-suite")
    monkeypatch.setattr(db_connection, "BUSY_TIMEOUT_S", 0.2)
    return batches(dirs)[0]


@contextmanager
def other_transaction(spool: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(spool, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


@pytest.fixture
def on_sleep(monkeypatch: pytest.MonkeyPatch) -> Callable[[sqlite3.Connection], None]:
    """Make `sleep` end the transaction of this connection."""

    def make_sleep(other: sqlite3.Connection) -> None:
        def sleep(seconds: float) -> None:
            assert 0 < seconds < 0.1
            if other.in_transaction:
                other.execute("ROLLBACK")

        for module in (busy, time):
            monkeypatch.setattr(module, "sleep", sleep)

    return make_sleep


@pytest.mark.parametrize("act", ACTS)
def test_another_processs_transaction_is_waited_for(
    dirs: Home, batch: Batch, act: str, on_sleep: Callable[[sqlite3.Connection], None]
) -> None:
    with other_transaction(dirs.spool) as other:
        on_sleep(other)
        assert ACTS[act](dirs, batch) is not False
        assert not other.in_transaction


@pytest.mark.parametrize("act", ["choose", "seal", "erase"])
def test_the_file_lock_of_another_process_is_waited_for(
    dirs: Home, batch: Batch, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((choice, "BUSY_TIMEOUT_S"), (sealing, "BUSY_TIMEOUT_S"), (wipe, "BUSY_TIMEOUT_S")):
        monkeypatch.setattr(module, name, 0.05)
    with hold(dirs.lock, 1), pytest.raises(Busy):
        ACTS[act](dirs, batch)
    stats = read_accounts(dirs)
    assert (stats.pending, stats.sealed, stats.balance) == (1, 1, 0)


@pytest.mark.parametrize("act", ACTS)
def test_on_a_network_file_system_no_process_waits_for_its_own_lock(
    dirs: Home, act: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """There every access takes the file lock, and taking it twice would be a deadlock."""
    (tmp_path / "mounts").write_text(f"36 35 98:0 / {os.path.realpath(tmp_path)} rw,noatime - nfs4 server:/x rw\n")
    monkeypatch.setattr(directory, "MOUNTS", str(tmp_path / "mounts"))
    batch: Batch = request.getfixturevalue("batch")
    assert ACTS[act](dirs, batch) is not False


def test_a_batch_is_stored_completely_or_not_at_all(
    dirs: Home, render: Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert record("run-check")
    assert record("run-suite")
    monkeypatch.setattr(sealing, "uuid4", lambda: "the same for all")
    with pytest.raises(Unusable):
        seal(dirs, render)
    stats = read_accounts(dirs)
    assert (stats.pending, stats.batches, stats.balance) == (2, 0, 0)


def test_a_disposition_is_stored_completely_or_not_at_all(
    dirs: Home, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ledger, "add_tally", fail)
    with pytest.raises(KeyboardInterrupt):
        settle(dirs, batch, Disposition(BatchState.DELIVERED, "a test"))
    assert batches(dirs) == [batch]
    assert read_accounts(dirs).balance == 0


def test_a_spool_whose_rows_cannot_all_be_deleted_is_removed(
    dirs: Home, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite does not allow deleting rows of its own list of tables."""
    monkeypatch.setattr(emptying, "SELECT_TABLES", "SELECT column1 FROM (VALUES ('rows'), ('sqlite_master'))")
    if os.name == "nt":  # Windows does not remove an open file
        recording.close()
    erase(dirs)
    assert not os.path.exists(dirs.spool)


def test_disable_waits_for_a_writer_between_the_fence_and_the_rows(
    dirs: Home, batch: Batch, monkeypatch: pytest.MonkeyPatch, on_sleep: Callable[[sqlite3.Connection], None]
) -> None:
    with closing(sqlite3.connect(dirs.spool, isolation_level=None)) as other:

        def begin_transaction(*exports: Any) -> Any:
            other.execute("BEGIN IMMEDIATE")
            on_sleep(other)
            return remove_exports(*exports)

        monkeypatch.setattr(wipe, "remove_exports", begin_transaction)
        erase(dirs)
        assert not other.in_transaction


def test_disable_waits_for_a_reader_that_ends(
    dirs: Home, batch: Batch, monkeypatch: pytest.MonkeyPatch, on_sleep: Callable[[sqlite3.Connection], None]
) -> None:
    monkeypatch.setattr(emptying, "READERS_WAIT_S", 1.0)
    with closing(sqlite3.connect(dirs.spool, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM rows").fetchone() == (1,)
        on_sleep(reader)
        erase(dirs)
        assert not reader.in_transaction


def test_deleted_rows_are_overwritten_and_not_copied_to_disk(
    dirs: Home, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VACUUM writes a copy of the whole file, above some megabytes into the system's temporary directory."""
    seen: list[tuple[int, int]] = []

    def turn_off_secure_delete(connection: sqlite3.Connection) -> tuple[str, ...]:
        connection.execute("PRAGMA secure_delete = OFF")  # the default of some builds of SQLite
        return ()

    def check_pragmas(connection: sqlite3.Connection) -> bool:
        (overwrites,) = connection.execute("PRAGMA secure_delete").fetchone()
        (where,) = connection.execute("PRAGMA temp_store").fetchone()
        seen.append((overwrites, where))
        return checkpoint(connection)

    monkeypatch.setattr(wipe, "read_receivers", turn_off_secure_delete)
    monkeypatch.setattr(emptying, "checkpoint", check_pragmas)
    erase(dirs)
    assert seen == [(1, 2)]  # true, and in memory


def test_a_running_upload_is_reported_before_waiting(dirs: Home, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[tuple[str, float]] = []

    def note_hold(path: str, timeout_s: float) -> Any:
        waits.append((os.path.basename(path), timeout_s))
        return hold(path, timeout_s)

    monkeypatch.setattr(wipe, "hold", note_hold)
    monkeypatch.setattr(wipe, "UPLOAD_WAIT_S", 0.05)
    with hold(dirs.upload_lock, 1), pytest.raises(Busy):
        erase(dirs, on_wait=lambda: waits.append(("on_wait", 0)))
    assert waits == [("upload.lock", 0), ("on_wait", 0), ("upload.lock", 0.05)]
