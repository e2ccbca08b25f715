"""The schema's changes: additive, so that older clients live on, and harmless where a new spool has them already."""

import sqlite3

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from deepchecks_telemetry.spool.db.busy import monotonic, writing
from deepchecks_telemetry.spool.db.connection import BUSY_TIMEOUT_S
from deepchecks_telemetry.spool.db.schema import SCHEMA_VERSION

changes = Migrations("deepchecks-telemetry")


@changes(name="1001-salvaged")
def salvaged(db: Database) -> None:
    """What was saved and lost of spools that were damaged."""
    columns = {"name": str, "at": int, "saved": int, "lost": int}
    db.create_table("salvaged", columns, pk="name", not_null={"at", "saved", "lost"}, if_not_exists=True)


@changes(name="1002-retry-after")
def retry_after(db: Database) -> None:
    """Until when each receiver asked not to be called."""
    columns = {"host": str, "until": int}
    db.create_table("retry_after", columns, pk="host", not_null={"until"}, if_not_exists=True)


@changes(name="1003-origin")
def origin(db: Database) -> None:
    """Which file the spool is, and on which machine."""
    columns = {"id": int, "salt": str, "machine": str, "file": str}
    db.create_table("origin", columns, pk="id", not_null={"salt", "machine", "file"}, if_not_exists=True)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring an open spool up to `SCHEMA_VERSION`, under the file lock.

    The connection is the standard library's: with pysqlite3 importable sqlite-utils would open a second SQLite in this
    process, and its plugins are other people's code.
    """
    # One transaction around all: sqlite-utils begins a deferred one, which fails at once where an appender is faster.
    with writing(connection, monotonic() + BUSY_TIMEOUT_S):
        changes.apply(Database(connection, execute_plugins=False))
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
