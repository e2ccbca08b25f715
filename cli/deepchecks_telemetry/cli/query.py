"""`inspect --events` and `--sql`: the spool's tables as they are, through queries that can change nothing."""

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from typing import Any

from deepchecks_telemetry.cli.errors import Failure
from deepchecks_telemetry.spool.catalogue import EVENTS
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.recovery.maintenance import with_maintenance

LONGEST_S = 20.0  # a reader keeps the WAL from being cut
STEPS = 10_000  # of SQLite's machine, some milliseconds, between two looks at the clock
# One call of randomblob() or printf() makes a gigabyte before the clock is looked at, and a query any number of rows.
MEMORY, LARGEST = 2**28, 2**26  # bytes: of SQLite's heap in this process, of an answer
ROW = 256  # bytes that a row takes beside its texts
RAW = """
SELECT events.id, date(day * 86400, 'unixepoch') AS day, coalesce(name, 'unknown') AS event, deepchecks_version,
  os_type, os_name, os_version, python_name, python_version, runtime
FROM events JOIN environments ON environments.id = environment LEFT JOIN catalogue ON number = event
WHERE event > 0 ORDER BY events.id
"""
_DONE_WITHOUT_A_WRITE = {
    sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_SAVEPOINT,
}  # fmt: skip
_RUN_CODE = {"load_extension", "fts3_tokenizer"}  # the second takes an address in memory, and jumps there
_LOOKS = {"table_info", "table_list", "table_xinfo"}


def ask(home: Home, sql: str, *, timeout_s: float = LONGEST_S) -> list[dict[str, Any]]:
    """The rows of one query, with `catalogue` (number, name) beside the spool's own tables; or a `Failure`."""

    def read() -> list[dict[str, Any]]:
        with opened(home) as connection:
            return _ask(connection, sql, time.monotonic() + timeout_s)

    try:
        return with_maintenance(home, read)
    except FileNotFoundError as error:
        raise Failure("There is no spool yet. It is created when the first event is recorded.") from error


def read_events(home: Home) -> list[dict[str, Any]]:
    """Every event that is still stored by itself, oldest first; empty where there is no spool."""
    return ask(home, RAW) if os.path.exists(home.spool) else []


def _ask(connection: sqlite3.Connection, sql: str, deadline: float) -> list[dict[str, Any]]:
    from sqlite_utils import Database

    # The connection is the standard library's, and plugins are other people's code: see spool/recovery/migrations.py.
    database = Database(connection, execute_plugins=False)
    _add_catalogue(connection)
    _forbid_changes(connection)
    connection.set_progress_handler(lambda: int(time.monotonic() > deadline), STEPS)
    # Here, not further out: there "no such column" is damage, and the spool would be put aside for a typing error.
    try:
        return list(_limited(database.query(sql)))
    except (sqlite3.Error, sqlite3.Warning, ValueError, MemoryError) as error:
        raise Failure(_told(error)) from error


def _limited(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    size = 0
    for row in rows:
        size += ROW + sum(len(cell) for cell in row.values() if isinstance(cell, str | bytes))
        if size > LARGEST:
            raise MemoryError
        yield row


def _told(error: Exception) -> str:
    text = str(error)
    if isinstance(error, MemoryError):
        return "The query needs too much memory. Select less, or add a LIMIT."
    if text == "interrupted":
        return f"The query took longer than {LONGEST_S:.0f} s. Select less, or add a LIMIT."
    if isinstance(error, ValueError) or "not authorized" in text or "prohibited" in text:
        return "Only read-only queries are allowed. Start the query with SELECT, WITH or VALUES."
    return f"SQLite error: {text.rstrip('.')}. The table sqlite_master lists all tables and their columns."


def _add_catalogue(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("CREATE TEMP TABLE catalogue (number INTEGER PRIMARY KEY, name TEXT)")
    connection.executemany("INSERT INTO temp.catalogue VALUES (?, ?)", [event[:2] for event in EVENTS])


def _forbid_changes(connection: sqlite3.Connection) -> None:
    for pragma in ("query_only = ON", f"hard_heap_limit = {MEMORY}"):
        connection.execute(f"PRAGMA {pragma}")
    connection.set_authorizer(_authorize)


def _authorize(action: int, first: str | None, second: str | None, *_: object) -> int:
    looks = action == sqlite3.SQLITE_PRAGMA and first in _LOOKS
    calls = action == sqlite3.SQLITE_FUNCTION and second not in _RUN_CODE
    return sqlite3.SQLITE_OK if action in _DONE_WITHOUT_A_WRITE or looks or calls else sqlite3.SQLITE_DENY
