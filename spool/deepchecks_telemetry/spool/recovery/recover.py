"""Adds what could be read of a damaged spool to the new one, exactly once, and counts the rest as lost.

It runs outside the host, under the file lock, in one transaction that also stores the name of the copy, so that nothing
is added twice after a crash.
"""

import os
import sqlite3
import time
from typing import Any

from deepchecks_telemetry.spool.db.compaction import add_tally
from deepchecks_telemetry.spool.db.schema import ENVIRONMENT_COLUMNS
from deepchecks_telemetry.spool.recovery.damaged_copy import (
    BATCH,
    UNSTORED,
    EnvironmentValues,
    RecoveredData,
    read_damaged,
)


def salvage(connection: sqlite3.Connection, copy: str) -> bool:
    """Add what `copy` contains once, in the caller's write transaction; False if nothing could be read."""
    name = os.path.basename(copy)
    done = connection.execute("SELECT saved FROM salvaged WHERE name = ?", (name,)).fetchone()
    if done:
        return bool(done[0])
    recovered = read_damaged(copy)
    _add(connection, recovered)
    lost = recovered.claimed - recovered.saved
    # Events that were never stored have tallies of their own, which count as recorded in the new spool too.
    add_tally(connection, "recovered", recovered.claimed - sum(recovered.tallies[name] for name in UNSTORED))
    if lost:
        add_tally(connection, "dropped:damage", lost)
    connection.execute(
        "INSERT INTO salvaged (name, at, saved, lost) VALUES (?, ?, ?, ?)",
        (name, int(time.time()), recovered.saved, lost),
    )
    return recovered.saved > 0


def _add(connection: sqlite3.Connection, recovered: RecoveredData) -> None:
    for (day, event, environment), count in recovered.counts.items():
        connection.execute(
            "INSERT INTO folded VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
            (day, event, _environment_id(connection, environment), count),
        )
    for batch in recovered.batches:
        _add_batch(connection, batch)
    for name, count in recovered.tallies.items():
        if name != "recovered":  # `claimed` includes it
            add_tally(connection, name, count)
    if recovered.installation:
        connection.execute("UPDATE spool SET installation = ?, installed_day = ?", recovered.installation)


def _add_batch(connection: sqlite3.Connection, batch: dict[str, Any]) -> None:
    marks = ", ".join("?" * len(BATCH))
    values = [batch[name] for name in BATCH]
    number = connection.execute(f"INSERT INTO batches ({', '.join(BATCH)}) VALUES ({marks})", values).lastrowid  # noqa: S608
    connection.executemany(
        "INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?, ?, ?)",
        [
            (uid, number, day, event, _environment_id(connection, environment), count)
            for uid, day, event, environment, count in batch["uid_rows"]
        ],
    )


def _environment_id(connection: sqlite3.Connection, environment: EnvironmentValues) -> int:
    marks = ", ".join("?" * len(environment))
    connection.execute(f"INSERT OR IGNORE INTO environments ({ENVIRONMENT_COLUMNS}) VALUES ({marks})", environment)  # noqa: S608
    query = f"SELECT id FROM environments WHERE ({ENVIRONMENT_COLUMNS}) = ({marks})"  # noqa: S608
    return int(connection.execute(query, environment).fetchone()[0])
