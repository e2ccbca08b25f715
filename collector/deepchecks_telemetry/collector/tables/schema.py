"""The tables and views of a store: 16-byte keys and numbers, because random keys of text touch many more pages.

Days are numbers of days since 1970-01-01 in the tables, and text (`YYYY-MM-DD`) in the views.
"""

import sqlite3

from deepchecks_telemetry.spool.catalogue import EVENT_NAMES, Environment

APPLICATION_ID = 0x64634F4C  # distinguishes a store from the database of another application
SCHEMA_VERSION = 5


def _uuid_text(column: str) -> str:
    parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    text = " || '-' || ".join(f"substr(hex({column}), {start}, {length})" for start, length in parts)
    return f"lower({text})"


def _day_text(column: str) -> str:
    return f"date({column} * 86400, 'unixepoch')"


def _active(kind: str) -> str:
    """The view of the active, new, returned and lost installations by week or month."""
    return f"""
CREATE VIEW {kind}ly_active AS
WITH periods AS (
  SELECT period, sum(installations) AS active, sum(installations * (first = period)) AS new,
    sum(installations * kept) AS kept
  FROM growth WHERE kind = '{kind}' GROUP BY period HAVING sum(installations) > 0
)
SELECT {_day_text("period")} AS {kind}, active, new, active - new AS returned,
  coalesce((SELECT active FROM periods AS former WHERE former.period = {_BEFORE[kind]}), 0) - kept AS lost
FROM periods ORDER BY period;"""  # noqa: S608 — constants


# The steps of the funnel.
IMPORT = "package-import"
RUNS = ("run-check", "run-suite")
EXPORTS = ("check-to-html", "suite-to-html", "suite-to-json", "suite-to-wandb")
_BEFORE = {
    "week": "periods.period - 7",
    "month": "CAST(strftime('%s', (periods.period - 1) * 86400, 'unixepoch', 'start of month') AS INTEGER) / 86400",
}
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
"""
SUMS = """
-- The sums of `counts` by each value of each field, and which installations had it.
CREATE TABLE cells (
  id INTEGER PRIMARY KEY, field TEXT NOT NULL, value TEXT NOT NULL, events INTEGER NOT NULL, rows INTEGER NOT NULL,
  installations INTEGER NOT NULL DEFAULT 0, UNIQUE (field, value)
);
CREATE TABLE seen (
  cell INTEGER NOT NULL REFERENCES cells, installation INTEGER NOT NULL REFERENCES installations,
  PRIMARY KEY (cell, installation)
) WITHOUT ROWID;
-- Each combination of event, environment and lateness; `lateness` is an index of `sums.LATENESS`.
CREATE TABLE categories (
  id INTEGER PRIMARY KEY, event INTEGER NOT NULL REFERENCES events,
  environment INTEGER NOT NULL REFERENCES environments, lateness INTEGER NOT NULL,
  UNIQUE (event, environment, lateness)
);
-- The rows of each day and category. `installations` has the numbers of up to 240 installations, in 4 bytes each;
-- one can occur several times. Further ones are in the next part. `events` and `rows` are to be summed over the parts.
CREATE TABLE daily (
  day INTEGER NOT NULL, category INTEGER NOT NULL REFERENCES categories, part INTEGER NOT NULL, events INTEGER NOT NULL,
  rows INTEGER NOT NULL, installations BLOB NOT NULL, PRIMARY KEY (day, category, part)
) WITHOUT ROWID;
-- The last version of each installation in each week and month; a week is the day of its Monday.
CREATE TABLE active (
  kind TEXT NOT NULL, installation INTEGER NOT NULL REFERENCES installations, period INTEGER NOT NULL,
  day INTEGER NOT NULL, version TEXT NOT NULL, PRIMARY KEY (kind, installation, period)
) WITHOUT ROWID;
-- Their sums: `first` is the first period of the installations, `kept` is 1 if they were active in the period before.
CREATE TABLE growth (
  kind TEXT NOT NULL, first INTEGER NOT NULL, period INTEGER NOT NULL, version TEXT NOT NULL, kept INTEGER NOT NULL,
  installations INTEGER NOT NULL, PRIMARY KEY (kind, first, period, version, kept)
) WITHOUT ROWID;
"""
VIEWS = f"""
CREATE VIEW rows AS SELECT
  {_uuid_text("uid")} AS uid, {_day_text("day")} AS day, name AS event, count, {_uuid_text("uuid")} AS installation_id,
  {_day_text("received_day")} AS received_day, {", ".join(Environment._fields)}
FROM counts JOIN events ON number = event JOIN installations ON installations.id = installation
JOIN environments ON environments.id = environment;
CREATE VIEW daily_active AS
  SELECT value AS day, events, rows, installations FROM cells WHERE field = 'day' ORDER BY value;
{_active("week")}
{_active("month")}
CREATE VIEW adoption AS SELECT
  {_day_text("period")} AS week, version AS deepchecks_version, sum(installations) AS installations,
  round(100.0 * sum(installations) / sum(sum(installations)) OVER (PARTITION BY period), 1) AS percent_of_active
FROM growth WHERE kind = 'week' GROUP BY period, version HAVING sum(installations) > 0 ORDER BY period, version;
CREATE VIEW retention AS SELECT
  {_day_text("first")} AS first_week, (period - first) / 7 AS weeks_later, sum(installations) AS installations,
  round(100.0 * sum(installations) / max(sum(installations)) OVER (PARTITION BY first), 1) AS percent_of_first_week
FROM growth WHERE kind = 'week' GROUP BY first, period HAVING sum(installations) > 0 ORDER BY first, period;
CREATE VIEW usage AS
  SELECT field, value, events, rows, installations FROM cells
  WHERE field NOT IN ('total', 'day') ORDER BY field, installations DESC, value;
CREATE VIEW funnel AS
WITH did AS (
  SELECT installation, max(value = '{IMPORT}') AS imported, max(value IN {RUNS}) AS ran,
    max(value IN {EXPORTS}) AS exported
  FROM seen JOIN cells ON cells.id = cell WHERE field = 'event' GROUP BY installation
)
SELECT coalesce(sum(imported), 0) AS imported, coalesce(sum(imported AND ran), 0) AS imported_and_ran,
  coalesce(sum(imported AND ran AND exported), 0) AS imported_ran_and_exported
FROM did;
"""  # noqa: S608 — constants


def create(connection: sqlite3.Connection) -> None:
    """Create the tables and views inside the transaction of the caller."""
    for statement in _statements(TABLES):
        connection.execute(statement)
    add_events(connection)
    create_sums(connection)


def create_sums(connection: sqlite3.Connection) -> None:
    """Create the sums and views of the tables with the rows, and mark the file as a store of this schema."""
    for statement in _statements(SUMS + VIEWS):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def add_events(connection: sqlite3.Connection) -> None:
    """Add the events of the catalogue that the store does not have, because an earlier release created it."""
    connection.executemany("INSERT OR IGNORE INTO events VALUES (?, ?)", EVENT_NAMES.items())


def _statements(script: str) -> list[str]:
    """Split a script, because `executescript` would commit the transaction of the caller."""
    statements, current = [], ""
    for line in script.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    return statements
