"""What could be saved of a damaged spool comes back into the new one, once, and what could not is counted as lost.

Runs outside the host, under the file lock, in one transaction that also names the copy: a crash repeats nothing.
"""

import os
import sqlite3
import time
from typing import Any

from deepchecks_telemetry.spool.db.compaction import add_tally
from deepchecks_telemetry.spool.db.schema import ENVIRONMENT_COLUMNS
from deepchecks_telemetry.spool.recovery.damaged_copy import BATCH, UNSTORED, EnvironmentValues, RecoveredData, read


def salvage(connection: sqlite3.Connection, copy: str) -> bool:
    """Bring back once what `copy` holds, in the caller's write transaction; False where nothing could be read."""
    name = os.path.basename(copy)
    known = connection.execute("SELECT saved FROM salvaged WHERE name = ?", (name,)).fetchone()
    if known:
        return bool(known[0])
    found = read(copy)
    _bring_back(connection, found)
    lost = found.claimed - found.saved
    # Those that were never stored have a tally of their own, which counts as recorded in the new books too.
    add_tally(connection, "recovered", found.claimed - sum(found.tallies[name] for name in UNSTORED))
    if lost:
        add_tally(connection, "dropped:damage", lost)
    connection.execute(
        "INSERT INTO salvaged (name, at, saved, lost) VALUES (?, ?, ?, ?)", (name, int(time.time()), found.saved, lost)
    )
    return found.saved > 0


def _bring_back(connection: sqlite3.Connection, found: RecoveredData) -> None:
    for (day, event, place), count in found.counts.items():
        connection.execute(
            "INSERT INTO folded VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
            (day, event, _place_id(connection, place), count),
        )
    for batch in found.batches:
        _bring_back_batch(connection, batch)
    for name, count in found.tallies.items():
        if name != "recovered":  # it is in what this copy claimed
            add_tally(connection, name, count)
    if found.installation:
        connection.execute("UPDATE spool SET installation = ?, installed_day = ?", found.installation)


def _bring_back_batch(connection: sqlite3.Connection, batch: dict[str, Any]) -> None:
    marks = ", ".join("?" * len(BATCH))
    values = [batch[name] for name in BATCH]
    made = connection.execute(f"INSERT INTO batches ({', '.join(BATCH)}) VALUES ({marks})", values).lastrowid  # noqa: S608
    connection.executemany(
        "INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?, ?, ?)",
        [
            (uid, made, day, event, _place_id(connection, place), count)
            for uid, day, event, place, count in batch["own"]
        ],
    )


def _place_id(connection: sqlite3.Connection, place: EnvironmentValues) -> int:
    marks = ", ".join("?" * len(place))
    connection.execute(f"INSERT OR IGNORE INTO environments ({ENVIRONMENT_COLUMNS}) VALUES ({marks})", place)  # noqa: S608
    found = connection.execute(
        f"SELECT id FROM environments WHERE ({ENVIRONMENT_COLUMNS}) = ({marks})", place
    ).fetchone()  # noqa: S608
    return int(found[0])
