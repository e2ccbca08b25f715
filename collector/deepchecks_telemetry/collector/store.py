"""The store: `append` returns after the rows are on the disk, each `uid` once, and never with a sender's address."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date
from functools import cache, partial
from pathlib import Path

from filelock import FileLock, Timeout

from deepchecks_telemetry.collector.errors import StoreError
from deepchecks_telemetry.collector.otlp import Row
from deepchecks_telemetry.collector.tables import schema
from deepchecks_telemetry.collector.tables.ids import id_of
from deepchecks_telemetry.collector.tables.migration import migrate
from deepchecks_telemetry.collector.tables.schema import APPLICATION_ID, SCHEMA_VERSION
from deepchecks_telemetry.collector.tables.sums import add_sums
from deepchecks_telemetry.spool.catalogue import EVENT_NUMBERS, Environment

BUSY_S = 5.0
CACHE_KIB = 32 * 1024  # most of the index of a million uids
CHECKPOINT_PAGES = 8_192  # 32 MiB; rarer checkpoints write a page once that many transactions changed

_EPOCH = date(1970, 1, 1)
# The first row of a uid is kept: a retry has the same bytes, so a second row that differs is not trusted.
_INSERT = """
INSERT INTO counts (uid, day, event, count, installation, environment, received_day) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (uid) DO NOTHING
"""


class Store:
    """One SQLite file, open for writing by one process at a time; any thread may append."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._append_lock = threading.Lock()
        self._file_lock = _lock_for_writing(path)
        try:
            self._connection = _open(path)
            self._file_id = _file_id(path)
        except BaseException:
            self._file_lock.release()
            raise

    def append(self, rows: Sequence[Row], *, received: date) -> int:
        """Commit the rows in one transaction, and return how many were new."""
        with self._append_lock, _translated("The store cannot be written"):
            with _transaction(self._connection) as write:
                before = _last_id(write)
                write.executemany(_INSERT, _values(write, rows, received))
                last = _last_id(write)
                add_sums(write, before, last)
            self.check_in_place()  # after the commit, which succeeds also in a file that was removed
        return last - before

    def check_in_place(self) -> None:
        """Raise `StoreError` if the file was removed or replaced, so that nothing would be left of new rows."""
        with _translated("The store was removed"):
            if _file_id(self._path) != self._file_id:
                raise StoreError("The store was replaced by another file. Restart the collector.")

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
            _check_readable(connection, path)
            yield connection


def _check_readable(connection: sqlite3.Connection, path: Path) -> None:
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise StoreError(f"{path} is not a collector's store. Name the file that `collector serve` wrote.")
    version = _pragma(connection, "user_version")
    if version > SCHEMA_VERSION:
        raise StoreError(f"{path} was written by a newer release. Upgrade deepchecks-telemetry.")
    if version < SCHEMA_VERSION:
        raise StoreError(f"{path} was written by an earlier release. Start `collector serve` on it once to convert it.")


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
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    if empty or _pragma(connection, "user_version") < SCHEMA_VERSION:
        with _translated(f"The tables of {path} cannot be written"), _transaction(connection):
            (schema.create if empty else migrate)(connection)
    schema.add_events(connection)


def _values(connection: sqlite3.Connection, rows: Sequence[Row], received: date) -> Iterator[tuple[object, ...]]:
    """The values of `_INSERT`; the ids of installations and environments are looked up once in a batch."""
    installation_id = cache(lambda text: id_of(connection, "installations", ("uuid",), (_uuid_bytes(text),)))
    environment_id = cache(partial(id_of, connection, "environments", Environment._fields))
    number_of = cache(lambda day: (date.fromisoformat(day) - _EPOCH).days)
    received_day = (received - _EPOCH).days
    for row in rows:
        source = installation_id(row.installation_id), environment_id(row.environment)
        yield _uuid_bytes(row.uid), number_of(row.day), EVENT_NUMBERS[row.event], row.count, *source, received_day


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
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


def _file_id(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _last_id(connection: sqlite3.Connection) -> int:
    value: int = connection.execute("SELECT coalesce(max(id), 0) FROM counts").fetchone()[0]
    return value


def _uuid_bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("-", ""))
