"""Each change of the schema is additive, so that older clients keep working, and does nothing if it is present."""

import sqlite3

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from deepchecks_telemetry.spool.db.busy import monotonic, writing
from deepchecks_telemetry.spool.db.connection import BUSY_TIMEOUT_S
from deepchecks_telemetry.spool.db.schema import SCHEMA_VERSION

changes = Migrations("deepchecks-telemetry")


@changes(name="1001-salvaged")
def salvaged(db: Database) -> None:
    """How much was saved and lost of damaged spools."""
    columns = {"name": str, "at": int, "saved": int, "lost": int}
    db.create_table("salvaged", columns, pk="name", not_null={"at", "saved", "lost"}, if_not_exists=True)


@changes(name="1002-retry-after")
def retry_after(db: Database) -> None:
    """Until when each receiver asked not to get requests."""
    columns = {"host": str, "until": int}
    db.create_table("retry_after", columns, pk="host", not_null={"until"}, if_not_exists=True)


@changes(name="1003-origin")
def origin(db: Database) -> None:
    """The identities of the spool's file and machine."""
    columns = {"id": int, "salt": str, "machine": str, "file": str}
    db.create_table("origin", columns, pk="id", not_null={"salt", "machine", "file"}, if_not_exists=True)


def migrate(connection: sqlite3.Connection) -> None:
    """Migrate an open spool to `SCHEMA_VERSION`, under the file lock.

    The connection is the standard library's: sqlite-utils would use pysqlite3 if that is importable, a second SQLite in
    this process. Plugins of sqlite-utils are other people's code, so they are not loaded.
    """
    # In one transaction, because sqlite-utils begins a deferred one, which fails immediately if an appender is first.
    with writing(connection, monotonic() + BUSY_TIMEOUT_S):
        changes.apply(Database(connection, execute_plugins=False))
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
