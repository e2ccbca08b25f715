"""Runs a query that somebody typed (`inspect --sql`, `collector report --sql`): read-only, limited in time and size."""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from typing import Any

from deepchecks_telemetry.cli.errors import CliError

TIMEOUT_S = 20.0  # a reader prevents the WAL from being truncated
STEPS = 10_000  # of SQLite's virtual machine, some milliseconds, between two checks of the clock
# One call of randomblob() or printf() can allocate a gigabyte before the clock is checked, and a query can return any
# number of rows.
MAX_HEAP_BYTES, MAX_RESULT_BYTES = 2**28, 2**26  # of SQLite's heap in this process, of a result
ROW_BYTES = 256  # of a row, without its texts
_READ_ACTIONS = {
    sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_SAVEPOINT,
}  # fmt: skip
_RUN_CODE = {"load_extension", "fts3_tokenizer"}  # the second takes an address in memory, and calls it
_RAW_PAGES = {"dbstat", "sqlite_dbpage"}  # virtual tables of some builds of SQLite
_READ_PRAGMAS = {"table_info", "table_list", "table_xinfo"}


def run_read_only(connection: sqlite3.Connection, sql: str, *, timeout_s: float = TIMEOUT_S) -> list[dict[str, Any]]:
    """The rows of one query; the connection is then good for nothing else. Raises `CliError`."""
    from sqlite_utils import Database  # takes 200 ms, which commands without a query save

    # The connection is the standard library's, and plugins are other people's code: see spool/recovery/migrations.py.
    database = Database(connection, execute_plugins=False)
    deadline = time.monotonic() + timeout_s
    for pragma in ("query_only = ON", f"hard_heap_limit = {MAX_HEAP_BYTES}"):
        connection.execute(f"PRAGMA {pragma}")
    connection.set_authorizer(_authorize)
    connection.set_progress_handler(lambda: int(time.monotonic() > deadline), STEPS)
    # Caught here, because `with_maintenance` takes "no such column" for damage and would quarantine the spool.
    try:
        return list(_limited(database.query(sql)))
    except (sqlite3.Error, sqlite3.Warning, ValueError, MemoryError) as error:
        raise CliError(_message(error)) from error


def _limited(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    size = 0
    for row in rows:
        size += ROW_BYTES + sum(len(cell) for cell in row.values() if isinstance(cell, str | bytes))
        if size > MAX_RESULT_BYTES:
            raise MemoryError
        yield row


def _message(error: Exception) -> str:
    text = str(error)
    if isinstance(error, MemoryError):
        return "The query needs too much memory. Select less, or add a LIMIT."
    if text == "interrupted":
        return f"The query took longer than {TIMEOUT_S:.0f} s. Select less, or add a LIMIT."
    if isinstance(error, ValueError) or "not authorized" in text or "prohibited" in text:
        return "Only read-only queries are allowed. Start the query with SELECT, WITH or VALUES."
    return f"SQLite error: {text.rstrip('.')}. The table sqlite_master lists all tables and their columns."


def _authorize(action: int, first: str | None, second: str | None, *_: object) -> int:
    reads_schema = action == sqlite3.SQLITE_PRAGMA and first in _READ_PRAGMAS
    calls_function = action == sqlite3.SQLITE_FUNCTION and second not in _RUN_CODE
    reads_pages = action == sqlite3.SQLITE_READ and (first or "").lower() in _RAW_PAGES
    allowed = (action in _READ_ACTIONS and not reads_pages) or reads_schema or calls_function
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY
