"""Defines the spool's tables, and how the one row of the table `spool` is read."""

from deepchecks_telemetry.spool.errors import Damaged

# PRAGMA user_version is 1000 × the number of incompatible changes + the number of additions that older clients ignore.
BREAKING = 1000
SCHEMA_VERSION = 1003
MAX_SPOOL_BYTES = 2**26  # bytes; a spool stays within 2 MB, so a larger file is not a spool
APPLICATION_ID = 0x64637470  # "dctp", for file(1) and for our check: any other database is quarantined, never written

ENVIRONMENT_COLUMNS = "deepchecks_version, os_type, os_name, os_version, python_name, python_version, runtime"
# `spool.epoch` is the fence: even is open, odd is closed, and it only ever grows, so a process that read an older
# number can no longer write. `events` keeps one row with event 0 after folding: the next id continues from it, and the
# largest id is a count of all recorded events that no later step changes. `retry_after` has a row for each receiver
# that asked for a pause; `spool.retry_after`, which named no receiver, is no longer used. `origin` detects a copy.
TABLES = """
CREATE TABLE spool (
  id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL, installation TEXT, installed_day INTEGER,
  next_upload INTEGER, retry_after INTEGER, failures INTEGER NOT NULL DEFAULT 0, endpoint TEXT
);
CREATE TABLE environments (
  id INTEGER PRIMARY KEY, deepchecks_version TEXT NOT NULL, os_type TEXT NOT NULL, os_name TEXT NOT NULL,
  os_version TEXT NOT NULL, python_name TEXT NOT NULL, python_version TEXT NOT NULL, runtime TEXT NOT NULL,
  UNIQUE (deepchecks_version, os_type, os_name, os_version, python_name, python_version, runtime)
);
CREATE TABLE events (
  id INTEGER PRIMARY KEY, day INTEGER NOT NULL, event INTEGER NOT NULL, environment INTEGER NOT NULL
);
CREATE TABLE folded (
  day INTEGER, event INTEGER, environment INTEGER, count INTEGER NOT NULL, PRIMARY KEY (day, event, environment)
) WITHOUT ROWID;
CREATE TABLE batches (
  id INTEGER PRIMARY KEY, state TEXT NOT NULL, sealed_at INTEGER NOT NULL, rows INTEGER NOT NULL,
  events INTEGER NOT NULL, rejected INTEGER NOT NULL DEFAULT 0, packed BLOB, sha256 TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0, tried_at INTEGER, outcome TEXT, endpoint TEXT
);
CREATE TABLE rows (
  uid TEXT PRIMARY KEY, batch INTEGER NOT NULL, day INTEGER NOT NULL, event INTEGER NOT NULL,
  environment INTEGER NOT NULL, count INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE tallies (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE salvaged (name TEXT PRIMARY KEY, at INTEGER NOT NULL, saved INTEGER NOT NULL, lost INTEGER NOT NULL);
CREATE TABLE retry_after (host TEXT PRIMARY KEY, until INTEGER NOT NULL);
CREATE TABLE origin (
  id INTEGER PRIMARY KEY CHECK (id = 1), salt TEXT NOT NULL, machine TEXT NOT NULL, file TEXT NOT NULL
);
INSERT INTO spool (id, epoch) VALUES (1, 0);
"""
STATEMENTS = [statement.strip() for statement in TABLES.split(";") if "CREATE" in statement]

SELECT_STATE = "SELECT epoch, installation FROM spool"


def parse_state(row: tuple[object, ...] | None) -> tuple[int, str | None]:
    """The fence and the installation's id from a row of `SELECT_STATE`; `Damaged` if the row is not valid."""
    if row is None or not isinstance(row[0], int) or not isinstance(row[1], str | None):
        raise Damaged("the spool file has no valid settings row")
    return row[0], row[1]
