"""What could be saved of a damaged spool comes back into the new one, once, and what could not is counted as lost.

Tables are read from both ends, past a broken page and without their indexes; what is read is held to the catalogue.
Runs outside the host, under the file lock, in one transaction that also names the copy: a crash repeats nothing.
"""

import gzip
import hashlib
import os
import re
import sqlite3
import time
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from deepchecks_telemetry.spool.catalogue import NAMES, is_allowed
from deepchecks_telemetry.spool.schema import FINAL, PLACE, STATES
from deepchecks_telemetry.spool.tallies import add_tally

MOST_OF_ONE = 2**40  # a larger count in one place is a flipped bit
LAST_DAY = 2**16  # the year 2149

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
BATCH = (
    "state sealed_at rows events rejected packed sha256 attempts tried_at outcome endpoint"  # all but the id
).split()

UNNUMBERED = ("dropped:busy", "dropped:failed", "recovered")  # recorded, but never given an id in that file

Place = tuple[str, ...]


@dataclass
class Salvaged:
    """What was read: counts by (day, event, place), whole batches, totals, and how many events the old file claimed."""

    counts: Counter[tuple[int, int, Place]] = field(default_factory=Counter)
    batches: list[dict[str, Any]] = field(default_factory=list)
    tallies: Counter[str] = field(default_factory=Counter)
    installation: tuple[str, int] | None = None
    last_id: int = 0

    @property
    def saved(self) -> int:
        """Events that have a place in the new books."""
        waiting = sum(batch["events"] for batch in self.batches if batch["state"] not in FINAL)
        counted = self.counts.total() + sum(self.tallies.values()) - self.tallies["recovered"]
        return counted + int(waiting)

    @property
    def claimed(self) -> int:
        """Events that the old books had recorded; at least those that were saved."""
        return max(self.saved, self.last_id + sum(self.tallies[name] for name in UNNUMBERED))


def salvage(connection: sqlite3.Connection, copy: str) -> bool:
    """Bring back once what `copy` holds, in the caller's write transaction; False where nothing could be read."""
    name = os.path.basename(copy)
    known = connection.execute("SELECT saved FROM salvaged WHERE name = ?", (name,)).fetchone()
    if known:
        return bool(known[0])
    found = read(copy)
    _bring_back(connection, found)
    lost = found.claimed - found.saved
    add_tally(connection, "recovered", found.claimed)
    if lost:
        add_tally(connection, "dropped:damage", lost)
    connection.execute(
        "INSERT INTO salvaged (name, at, saved, lost) VALUES (?, ?, ?, ?)", (name, int(time.time()), found.saved, lost)
    )
    return found.saved > 0


def read(copy: str) -> Salvaged:
    """Read what can be read; nothing at all of a file that is no database."""
    found = Salvaged()
    try:
        connection = sqlite3.connect(copy, isolation_level=None, timeout=5.0)
    except sqlite3.Error:
        return found
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        _read(connection, found)
    except sqlite3.Error:
        pass  # what was read so far is kept
    finally:
        connection.close()
    return found


def _read(connection: sqlite3.Connection, found: Salvaged) -> None:
    connection.text_factory = lambda octets: octets.decode("utf-8", "replace")
    places = {row[0]: row[1:] for row in _rows(connection, "environments", "*", "id") if is_allowed(row[1:])}
    for id_, day, event, place in _rows(connection, "events", "id, day, event, environment", "id"):
        if _is_count(id_):
            found.last_id = max(found.last_id, id_)
        _count(found, day, event, places.get(place), 1)
    for day, event, place, count in _rows(connection, "folded", "*", "day, event, environment"):
        _count(found, day, event, places.get(place), count)
    for name, count in _rows(connection, "tallies", "*", "name"):
        if (
            isinstance(name, str)
            and name.startswith(("delivered", "rejected", "recovered", "dropped:"))
            and _is_count(count)
        ):
            found.tallies[name] += count
    for installation, day in _rows(connection, "spool", "installation, installed_day", "id"):
        if isinstance(installation, str) and UUID.fullmatch(installation) and _is_count(day):
            found.installation = installation, day
    _read_batches(connection, found, places)


def _read_batches(connection: sqlite3.Connection, found: Salvaged, places: dict[Any, Place]) -> None:
    rows = _rows(connection, "rows", "uid, batch, day, event, environment, count", "uid")
    for batch in _rows(connection, "batches", ", ".join(("id", *BATCH)), "id"):
        values = dict(zip(BATCH, batch[1:], strict=True))
        own = [
            (uid, day, event, places.get(place), count) for uid, of, day, event, place, count in rows if of == batch[0]
        ]
        if _is_whole(values):
            found.batches.append(values | {"own": [row for row in own if _is_row(*row[1:])]})
        elif values["attempts"] == 0 and values["state"] in STATES:
            for (
                _,
                day,
                event,
                place,
                count,
            ) in own:  # never tried, so nobody knows its uids: its counts can be sealed anew
                _count(found, day, event, place, count)


def _rows(connection: sqlite3.Connection, table: str, columns: str, key: str) -> list[tuple[Any, ...]]:
    """The rows of a table, read from both ends up to a broken page, and never through an index."""
    found: dict[tuple[Any, ...], None] = {}
    for order in ("ASC", "DESC"):
        ordered = ", ".join(f"{column} {order}" for column in key.split(", "))
        try:
            for row in connection.execute(f"SELECT {columns} FROM {table} NOT INDEXED ORDER BY {ordered}"):  # noqa: S608
                found[row] = None
        except sqlite3.Error:
            continue
    return list(found)


def _count(found: Salvaged, day: Any, event: Any, place: Place | None, count: Any) -> None:
    if place is not None and _is_row(day, event, place, count):
        found.counts[day, event, place] += count


def _is_row(day: Any, event: Any, place: Place | None, count: Any) -> bool:
    return event in NAMES and _is_count(day) and day < LAST_DAY and _is_count(count) and place is not None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < MOST_OF_ONE


def _is_whole(batch: dict[str, Any]) -> bool:
    """Whether a batch's bytes are the ones that were sealed."""
    try:
        body = gzip.decompress(batch["packed"])
    except (OSError, EOFError, TypeError, zlib.error):
        return False
    counts = all(_is_count(batch[name]) for name in ("events", "rows", "rejected", "attempts", "sealed_at"))
    return counts and batch["state"] in STATES and hashlib.sha256(body).hexdigest() == batch["sha256"]


def _bring_back(connection: sqlite3.Connection, found: Salvaged) -> None:
    for (day, event, place), count in found.counts.items():
        connection.execute(
            "INSERT INTO folded VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
            (day, event, _place_id(connection, place), count),
        )
    for batch in found.batches:
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
    for name, count in found.tallies.items():
        if name != "recovered":  # it is in what this copy claimed
            add_tally(connection, name, count)
    if found.installation:
        connection.execute("UPDATE spool SET installation = ?, installed_day = ?", found.installation)


def _place_id(connection: sqlite3.Connection, place: Place) -> int:
    marks = ", ".join("?" * len(place))
    connection.execute(f"INSERT OR IGNORE INTO environments ({PLACE}) VALUES ({marks})", place)  # noqa: S608
    found = connection.execute(f"SELECT id FROM environments WHERE ({PLACE}) = ({marks})", place).fetchone()  # noqa: S608
    return int(found[0])
