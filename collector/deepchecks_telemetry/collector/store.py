"""The store: `append` returns after the rows are on the disk, each `uid` once, and never with a sender's address."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path

from filelock import FileLock, Timeout

from deepchecks_telemetry.collector.errors import StoreError
from deepchecks_telemetry.collector.otlp import Row
from deepchecks_telemetry.spool.catalogue import Environment

APPLICATION_ID = 0x64634F4C  # distinguishes a store from the database of another application
SCHEMA_VERSION = 1
BUSY_S = 5.0

_COLUMNS = ("uid", "day", "event", "count", "installation_id", "received_day", *Environment._fields)
_CREATE = f"""
CREATE TABLE rows (
  uid TEXT PRIMARY KEY, day TEXT NOT NULL, event TEXT NOT NULL, count INTEGER NOT NULL,
  installation_id TEXT NOT NULL, received_day TEXT NOT NULL,
  {" TEXT NOT NULL, ".join(Environment._fields)} TEXT NOT NULL
) WITHOUT ROWID
"""
# The first row of a uid is kept: a retry has the same bytes, so a second row that differs is not trusted.
_INSERT = f"""
INSERT INTO rows ({", ".join(_COLUMNS)}) VALUES ({", ".join("?" * len(_COLUMNS))}) ON CONFLICT (uid) DO NOTHING
"""  # noqa: S608 — the names of the catalogue


class Store:
    """One SQLite file, open for writing by one process at a time; any thread may append."""

    def __init__(self, path: Path) -> None:
        self._append_lock = threading.Lock()
        self._file_lock = _lock_for_writing(path)
        try:
            self._connection = _open(path)
        except BaseException:
            self._file_lock.release()
            raise

    def append(self, rows: Sequence[Row], *, received: date) -> int:
        """Commit the rows in one transaction, and return how many were new."""
        day = received.isoformat()
        values = [(r.uid, r.day, r.event, r.count, r.installation_id, day, *r.environment) for r in rows]
        with self._append_lock, _translated("The store cannot be written"), _transaction(self._connection):
            before = self._connection.total_changes
            self._connection.executemany(_INSERT, values)
            return self._connection.total_changes - before

    def close(self) -> None:
        """Wait for a running append, then close the file."""
        with self._append_lock:
            self._connection.close()
            self._file_lock.release()


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection with one snapshot of a store, also while a collector writes to it."""
    with _translated(f"{path} cannot be read"):
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            if _pragma(connection, "application_id") != APPLICATION_ID:
                raise StoreError(f"{path} is not a collector's store. Name the file that `collector serve` wrote.")
            yield connection


def _lock_for_writing(path: Path) -> FileLock:
    """Only one process may write: before SQLite 3.51.3, concurrent checkpoints can corrupt the file (WAL reset)."""
    lock = FileLock(f"{path}.lock", timeout=0, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise StoreError(f"{path} is in use by another collector. Stop that one or choose another file.") from error
    except OSError as error:
        raise StoreError(f"{path} cannot be opened ({error.strerror}). Choose a file that you can write to.") from error
    return lock


def _open(path: Path) -> sqlite3.Connection:
    with _translated(f"{path} cannot be opened"):
        path.touch(mode=0o600)  # SQLite creates its other files with the same mode
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    empty = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if not empty and _pragma(connection, "application_id") != APPLICATION_ID:
        raise StoreError(f"{path} is another application's database. Choose another file.")
    if not empty and _pragma(connection, "user_version") > SCHEMA_VERSION:
        raise StoreError(f"{path} was written by a newer release. Upgrade deepchecks-telemetry.")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # in WAL mode, NORMAL can lose the last commits in a power failure
    if empty:
        with _transaction(connection):
            connection.execute(_CREATE)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk may have rolled it back already
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _translated(problem: str) -> Iterator[None]:
    """Convert errors of SQLite and of the system to `StoreError`."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{problem} ({error}). Check its path, its permissions and the disk.") from error


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value
