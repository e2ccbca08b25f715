"""The tables and views of a store: 16-byte keys and numbers, because random keys of text touch many more pages.

Days are numbers of days since 1970-01-01 in the tables, and text (`YYYY-MM-DD`) in the views.
"""

import sqlite3

from deepchecks_telemetry.spool.catalogue import EVENTS, Environment

APPLICATION_ID = 0x64634F4C  # distinguishes a store from the database of another application
SCHEMA_VERSION = 2


def _uuid_text(column: str) -> str:
    parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    text = " || '-' || ".join(f"substr(hex({column}), {start}, {length})" for start, length in parts)
    return f"lower({text})"


def _day_text(column: str) -> str:
    return f"date({column} * 86400, 'unixepoch')"


TABLES = f"""
CREATE TABLE events (number INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE installations (id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE);
CREATE TABLE environments (
  id INTEGER PRIMARY KEY, {" TEXT NOT NULL, ".join(Environment._fields)} TEXT NOT NULL,
  UNIQUE ({", ".join(Environment._fields)})
);
-- In the order of arrival, so that new rows fill whole pages; only the index of uids is written at random places.
CREATE TABLE counts (
  id INTEGER PRIMARY KEY, uid BLOB NOT NULL UNIQUE, day INTEGER NOT NULL, event INTEGER NOT NULL REFERENCES events,
  count INTEGER NOT NULL, installation INTEGER NOT NULL REFERENCES installations,
  environment INTEGER NOT NULL REFERENCES environments, received_day INTEGER NOT NULL
);
-- The sums of `counts` by each value of each field, and which installations had it.
CREATE TABLE cells (
  id INTEGER PRIMARY KEY, field TEXT NOT NULL, value TEXT NOT NULL, events INTEGER NOT NULL, rows INTEGER NOT NULL,
  installations INTEGER NOT NULL DEFAULT 0, UNIQUE (field, value)
);
CREATE TABLE seen (
  cell INTEGER NOT NULL REFERENCES cells, installation INTEGER NOT NULL REFERENCES installations,
  PRIMARY KEY (cell, installation)
) WITHOUT ROWID;
-- Weeks are the days of their Mondays. A cohort is the installations that were first active in the same week.
CREATE TABLE active_weeks (
  installation INTEGER NOT NULL REFERENCES installations, week INTEGER NOT NULL, PRIMARY KEY (installation, week)
) WITHOUT ROWID;
CREATE TABLE cohorts (
  first_week INTEGER NOT NULL, week INTEGER NOT NULL, installations INTEGER NOT NULL, PRIMARY KEY (first_week, week)
) WITHOUT ROWID;
CREATE TRIGGER count_installation AFTER INSERT ON seen BEGIN
  UPDATE cells SET installations = installations + 1 WHERE id = new.cell;
END;
"""  # noqa: S608 — the names of the catalogue
VIEWS = f"""
CREATE VIEW rows AS SELECT
  {_uuid_text("uid")} AS uid, {_day_text("day")} AS day, name AS event, count, {_uuid_text("uuid")} AS installation_id,
  {_day_text("received_day")} AS received_day, {", ".join(Environment._fields)}
FROM counts JOIN events ON number = event JOIN installations ON installations.id = installation
JOIN environments ON environments.id = environment;
CREATE VIEW daily_active AS
  SELECT value AS day, events, rows, installations FROM cells WHERE field = 'day' ORDER BY value;
CREATE VIEW weekly_active AS
  SELECT value AS week, events, rows, installations FROM cells WHERE field = 'week' ORDER BY value;
CREATE VIEW adoption AS SELECT
  substr(cells.value, 1, 10) AS week, substr(cells.value, 12) AS deepchecks_version, cells.installations,
  round(100.0 * cells.installations / weeks.installations, 1) AS percent_of_active
FROM cells JOIN cells AS weeks ON weeks.field = 'week' AND weeks.value = substr(cells.value, 1, 10)
WHERE cells.field = 'adoption' ORDER BY cells.value;
CREATE VIEW usage AS
  SELECT field, value, events, rows, installations FROM cells
  WHERE field NOT IN ('total', 'day', 'week', 'adoption') ORDER BY field, installations DESC, value;
CREATE VIEW retention AS
  SELECT {_day_text("first_week")} AS first_week, (week - first_week) / 7 AS weeks_later, installations
  FROM cohorts WHERE installations > 0 ORDER BY cohorts.first_week, week;
"""  # noqa: S608 — constants


def create(connection: sqlite3.Connection) -> None:
    """Create the tables and views inside the transaction of the caller."""
    for statement in _statements(TABLES + VIEWS):
        connection.execute(statement)
    add_events(connection)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def add_events(connection: sqlite3.Connection) -> None:
    """Add the events of the catalogue that the store does not have, because an earlier release created it."""
    connection.executemany("INSERT OR IGNORE INTO events VALUES (?, ?)", [event[:2] for event in EVENTS])


def _statements(script: str) -> list[str]:
    """Split a script, because `executescript` would commit the transaction of the caller."""
    statements, current = [], ""
    for line in script.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    return statements
