"""Brings the store of an earlier release to the schema of this one, in the transaction of the caller."""

import sqlite3
from uuid import UUID

from deepchecks_telemetry.collector.errors import StoreError
from deepchecks_telemetry.collector.tables import schema
from deepchecks_telemetry.collector.tables.sums import add_sums
from deepchecks_telemetry.spool.catalogue import Environment

_FIELDS = ", ".join(Environment._fields)
_DAY = "CAST(strftime('%s', {}) AS INTEGER) / 86400"
_STEPS = (
    "INSERT INTO installations (uuid) SELECT DISTINCT uuid_bytes(installation_id) FROM old",
    f"INSERT INTO environments ({_FIELDS}) SELECT DISTINCT {_FIELDS} FROM old",  # noqa: S608
    # The joins are written so that each old row gives a new one, or none of its columns is NULL and the step fails.
    f"""
    INSERT INTO counts (uid, day, event, count, installation, environment, received_day)
    SELECT uuid_bytes(uid), {_DAY.format("day")}, number, count, installations.id, environments.id,
      {_DAY.format("received_day")}
    FROM old LEFT JOIN events ON name = old.event LEFT JOIN installations ON uuid = uuid_bytes(installation_id)
    LEFT JOIN environments USING ({_FIELDS})
    """,  # noqa: S608 — the names of the catalogue
    "DROP TABLE old",
)

_WRONG = """
SELECT counts.id FROM counts LEFT JOIN events ON number = event
LEFT JOIN environments ON environments.id = environment LEFT JOIN installations ON installations.id = installation
WHERE counts.id < 1 OR number IS NULL OR environments.id IS NULL OR installations.id IS NULL
OR typeof(day) <> 'integer' OR typeof(count) <> 'integer' OR typeof(received_day) <> 'integer'
OR abs(day) > 100000 OR count < 1 LIMIT 1
"""
_OLD_SUMS = {
    "VIEW": ("daily_active", "weekly_active", "monthly_active", "adoption", "usage", "retention", "funnel", "rows"),
    "TABLE": ("seen", "cells", "active_weeks", "cohorts", "arrivals", "active", "growth"),
}


def migrate(connection: sqlite3.Connection) -> None:
    """Convert an earlier schema; raises `StoreError` for a row that is not valid, so that nothing is lost."""
    if connection.execute("PRAGMA user_version").fetchone()[0] == 1:
        _convert_rows(connection)
    else:
        _drop_sums(connection)
    if wrong := connection.execute(_WRONG).fetchone():
        raise StoreError(f"Row {wrong[0]} of the table counts is not valid. Correct or delete it.")
    add_sums(connection, 0, connection.execute("SELECT coalesce(max(id), 0) FROM counts").fetchone()[0])


def _convert_rows(connection: sqlite3.Connection) -> None:
    """Schema 1 was one table `rows` of texts."""
    connection.create_function("uuid_bytes", 1, lambda text: UUID(text).bytes, deterministic=True)
    connection.execute("ALTER TABLE rows RENAME TO old")
    schema.create(connection)
    for step in _STEPS:
        connection.execute(step)


def _drop_sums(connection: sqlite3.Connection) -> None:
    """Schemas 2 to 4 had the rows of this one, with other sums."""
    for kind, names in _OLD_SUMS.items():
        for name in names:
            connection.execute(f"DROP {kind} IF EXISTS {name}")
    schema.create_sums(connection)
