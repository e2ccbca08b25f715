"""The queries of `inspect --events` and `--sql` on the spool's tables; a query can change nothing."""

import os
from typing import Any

from deepchecks_telemetry.cli.errors import CliError
from deepchecks_telemetry.cli.sql import TIMEOUT_S, run_read_only
from deepchecks_telemetry.spool.catalogue import EVENT_NAMES
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.recovery.maintenance import with_maintenance

RAW_EVENTS = """
SELECT events.id, date(day * 86400, 'unixepoch') AS day, coalesce(name, 'unknown') AS event, deepchecks_version,
  os_type, os_name, os_version, python_name, python_version, runtime
FROM events JOIN environments ON environments.id = environment LEFT JOIN catalogue ON number = event
WHERE event > 0 ORDER BY events.id
"""


def run_query(home: Home, sql: str, *, timeout_s: float = TIMEOUT_S) -> list[dict[str, Any]]:
    """The rows of one query, with the table `catalogue` (number, name) beside the spool's; raises `CliError`."""

    def read() -> list[dict[str, Any]]:
        with opened(home) as connection:
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("CREATE TEMP TABLE catalogue (number INTEGER PRIMARY KEY, name TEXT)")
            connection.executemany("INSERT INTO temp.catalogue VALUES (?, ?)", EVENT_NAMES.items())
            return run_read_only(connection, sql, timeout_s=timeout_s)

    try:
        return with_maintenance(home, read)
    except FileNotFoundError as error:
        raise CliError("There is no spool yet. It is created when the first event is recorded.") from error


def read_events(home: Home) -> list[dict[str, Any]]:
    """Every event that is not aggregated yet, oldest first; empty where there is no spool."""
    return run_query(home, RAW_EVENTS) if os.path.exists(home.spool) else []
