"""Waits for a lock are short and end at the deadline; a transaction is complete or rolled back."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deepchecks_telemetry.spool.db.busy import retry_while_busy, writing
from deepchecks_telemetry.spool.errors import Busy

SLICE_S = 0.15  # a shared machine can run another process meanwhile


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None, timeout=0)) as connection:
        connection.execute("CREATE TABLE t (x)")
        yield connection


@pytest.fixture
def other(tmp_path: Path, connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None, timeout=0)) as other:
        yield other


def test_an_act_that_succeeds_is_called_once() -> None:
    calls: list[int] = []
    retry_while_busy(lambda: calls.append(1), time.monotonic() - 1)
    assert calls == [1]


def test_a_lock_is_waited_for_until_it_is_released(connection: sqlite3.Connection, other: sqlite3.Connection) -> None:
    other.execute("BEGIN IMMEDIATE")
    calls: list[int] = []

    def act() -> None:
        calls.append(1)
        if len(calls) == 5:
            other.execute("COMMIT")
        connection.execute("INSERT INTO t VALUES (1)")

    retry_while_busy(act, time.monotonic() + 10)
    assert len(calls) == 5


def test_after_the_deadline_it_raises_busy(connection: sqlite3.Connection, other: sqlite3.Connection) -> None:
    other.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    with pytest.raises(Busy, match="locked by another process"):
        retry_while_busy(lambda: connection.execute("INSERT INTO t VALUES (1)"), started + 0.1)
    assert 0.1 <= time.monotonic() - started < 0.1 + SLICE_S


def test_another_error_is_not_waited_for(connection: sqlite3.Connection) -> None:
    started = time.monotonic()
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        retry_while_busy(lambda: connection.execute("INSERT INTO missing VALUES (1)"), started + 10)
    assert time.monotonic() - started < 5


def test_a_failed_transaction_is_rolled_back(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="missing"), writing(connection, time.monotonic() + 1):
        any(connection.execute(f"INSERT INTO {table} VALUES (1)").fetchone() for table in ("t", "missing"))
    assert not connection.in_transaction
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_a_transaction_holds_the_write_lock_from_its_start(
    connection: sqlite3.Connection, other: sqlite3.Connection
) -> None:
    with writing(connection, time.monotonic() + 1):
        with pytest.raises(Busy):
            retry_while_busy(lambda: other.execute("INSERT INTO t VALUES (1)"), time.monotonic())
        connection.execute("INSERT INTO t VALUES (2)")
    assert other.execute("SELECT x FROM t").fetchall() == [(2,)]


def test_a_connection_closed_in_a_transaction_hides_no_host_exception() -> None:
    def interrupted(connection: sqlite3.Connection) -> None:
        with writing(connection, time.monotonic() + 1.0):
            connection.close()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted(sqlite3.connect(":memory:", isolation_level=None))
