"""Before a command reads or changes a spool, it is migrated, and the copies of damaged spools are recovered.

The host does neither: it appends to any compatible version, and only renames a damaged spool.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from deepchecks_telemetry.spool.db.busy import monotonic, writing
from deepchecks_telemetry.spool.db.connection import BUSY_TIMEOUT_S, opened
from deepchecks_telemetry.spool.db.create import create
from deepchecks_telemetry.spool.db.origin import settle_origin
from deepchecks_telemetry.spool.db.schema import SCHEMA_VERSION
from deepchecks_telemetry.spool.errors import Damaged
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.quarantine import (
    SETTLED_S,
    discard,
    find_replaced,
    find_set_aside,
    quarantine_replaced,
    quarantined,
)
from deepchecks_telemetry.spool.files.regular import is_hard_linked_database, status_of
from deepchecks_telemetry.spool.recovery.hard_links import separate

Result = TypeVar("Result")

INTEGER_COLUMNS = {
    "events": ("day", "event", "environment"),
    "folded": ("day", "event", "environment", "count"),
    "rows": ("batch", "day", "event", "environment", "count"),
    "batches": ("sealed_at", "rows", "events", "rejected", "attempts"),
    "tallies": ("count",),
}


def with_maintenance(home: Home, act: Callable[[], Result], *, check_tables: Iterable[str] = INTEGER_COLUMNS) -> Result:
    """The result of `act` on a maintained spool; if it meets damage, it is called once more after the recovery.

    `check_tables` names the tables of which every row is checked before. Callers that handle hundreds of batches in a
    loop should not check the largest tables each time.
    """
    try:
        _maintain(home, check_tables)
        return act()
    except Damaged:  # by now the spool is quarantined
        _maintain(home, INTEGER_COLUMNS)
        return act()


def read_maintained(
    home: Home,
    read: Callable[[sqlite3.Connection], Result],
    missing: Result,
    *,
    check_tables: Iterable[str] = INTEGER_COLUMNS,
) -> Result:
    """What `read` returns for one snapshot of a maintained spool; `missing` if there is no spool."""

    def act() -> Result:
        with opened(home) as connection:
            connection.execute("BEGIN")  # one snapshot
            return read(connection)

    try:
        return with_maintenance(home, act, check_tables=check_tables)
    except FileNotFoundError:
        return missing


def _maintain(home: Home, check_tables: Iterable[str]) -> None:
    if os.path.isdir(home.state) and (is_hard_linked_database(home.spool) or find_set_aside(home)):
        separate(home, BUSY_TIMEOUT_S)
    if find_replaced(home):
        with hold(home.lock, BUSY_TIMEOUT_S):
            quarantine_replaced(home)
    copies = quarantined(home)
    if copies:
        create(home, BUSY_TIMEOUT_S)
    elif not os.path.exists(home.spool):
        return
    with opened(home) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for table in check_tables:
            _check_integers(connection, table)
        settle_origin(connection, home.spool, monotonic() + BUSY_TIMEOUT_S)
    if version < SCHEMA_VERSION:
        from deepchecks_telemetry.spool.recovery.migrations import migrate

        with hold(home.lock, BUSY_TIMEOUT_S), opened(home, locked=True) as connection:
            migrate(connection)
    for copy in copies:
        _salvage(home, copy)


def _check_integers(connection: sqlite3.Connection, table: str) -> None:
    """Raise `Damaged` if a column of integers contains anything else.

    SQLite does not notice a page that was swapped between two tables, and it does not enforce column types.
    """
    wrong = " OR ".join(f"typeof({column}) != 'integer'" for column in INTEGER_COLUMNS[table])
    if connection.execute(f"SELECT 1 FROM {table} WHERE {wrong} LIMIT 1").fetchone():  # noqa: S608
        raise Damaged("the spool's tables contain invalid values")


def _salvage(home: Home, copy: str) -> None:
    from deepchecks_telemetry.spool.recovery.recover import salvage

    _wait_until_settled(copy)
    with hold(home.lock, BUSY_TIMEOUT_S):
        if copy not in quarantined(home):
            return
        with opened(home, locked=True) as connection, writing(connection, monotonic() + BUSY_TIMEOUT_S):
            saved = salvage(connection, copy)
        discard(home, copy, saved=saved)


def _wait_until_settled(copy: str) -> None:
    """Wait until no process can acknowledge a record in the copy any more; `SETTLED_S` at most if the clock jumped."""
    status = status_of(copy)
    age_s = time.time() - status.st_ctime if status else SETTLED_S
    time.sleep(max(0, min(SETTLED_S, SETTLED_S - age_s)))
