"""Before the books are read or changed outside the host: the schema is up to date, and what was put aside is saved.

The host does neither: it appends to every version, and a damaged spool is only renamed there.
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
from deepchecks_telemetry.spool.files.quarantine import SETTLED_S, discard, find_set_aside, quarantined
from deepchecks_telemetry.spool.files.regular import is_hard_linked_database
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
    """What `act` gives for a spool that is up to date; met with damage, it is called once more on the mended spool.

    `check_tables` names the tables that are looked through before: every row of them, so that hundreds of batches in a row
    should not ask for the largest each time.
    """
    try:
        _maintain(home, check_tables)
        return act()
    except Damaged:  # it was put aside by whoever met it
        _maintain(home, INTEGER_COLUMNS)
        return act()


def _maintain(home: Home, check_tables: Iterable[str]) -> None:
    if os.path.isdir(home.state) and (is_hard_linked_database(home.spool) or find_set_aside(home)):
        separate(home, BUSY_TIMEOUT_S)
    copies = quarantined(home)
    if copies:
        create(home, BUSY_TIMEOUT_S)
    elif not os.path.exists(home.spool):
        return
    with opened(home) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for table in check_tables:
            _check_place(connection, table)
        settle_origin(connection, home.spool, monotonic() + BUSY_TIMEOUT_S)
    if version < SCHEMA_VERSION:
        _migrate(home)
    for copy in copies:
        _salvage(home, copy)


def _check_place(connection: sqlite3.Connection, table: str) -> None:
    """A page of one table in the place of another's breaks no tree, so SQLite finds nothing; and types bind nothing."""
    wrong = " OR ".join(f"typeof({column}) != 'integer'" for column in INTEGER_COLUMNS[table])
    if connection.execute(f"SELECT 1 FROM {table} WHERE {wrong} LIMIT 1").fetchone():  # noqa: S608
        raise Damaged("the spool's tables contain invalid values")


def _migrate(home: Home) -> None:
    from deepchecks_telemetry.spool.recovery.migrations import migrate

    with hold(home.lock, BUSY_TIMEOUT_S), opened(home, locked=True) as connection:
        migrate(connection)


def _salvage(home: Home, copy: str) -> None:
    from deepchecks_telemetry.spool.recovery.recover import salvage

    _let_settle(copy)
    with hold(home.lock, BUSY_TIMEOUT_S):
        if copy not in quarantined(home):
            return
        with opened(home, locked=True) as connection, writing(connection, monotonic() + BUSY_TIMEOUT_S):
            saved = salvage(connection, copy)
        discard(home, copy, saved=saved)


def _let_settle(copy: str) -> None:
    """Wait until nobody can acknowledge a record in the copy any more; a clock that jumped costs one whole wait."""
    try:
        age_s = time.time() - os.stat(copy).st_ctime
    except OSError:
        return
    if age_s < SETTLED_S:
        time.sleep(min(SETTLED_S, SETTLED_S - age_s))
