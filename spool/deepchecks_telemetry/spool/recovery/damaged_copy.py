"""What can be read from a damaged spool through SQLite, without its indexes, and held to the catalogue.

Each table is read from both ends, up to a broken page. Where the schema itself is broken, nothing is read.
"""

import gzip
import hashlib
import re
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from deepchecks_telemetry.spool.catalogue import EVENT_NAMES, Environment, is_allowed, is_count, is_day
from deepchecks_telemetry.spool.db.schema import STATEMENTS, STATES, UNSETTLED, BatchState
from deepchecks_telemetry.spool.db.schema_guard import COMMAND_VM_STEPS, check_shape, limit_vm_steps
from deepchecks_telemetry.spool.db.sqlite_errors import FAULTS, is_damage
from deepchecks_telemetry.spool.errors import Damaged
from deepchecks_telemetry.spool.files.regular import leads_elsewhere
from deepchecks_telemetry.spool.identity import is_uuid

MAX_ID_GAP = 100_000  # ids are consecutive, but for those in broken pages: at 100 a page, a thousand pages of 1 KB

TALLY = re.compile("delivered|rejected|recovered|dropped:[a-z]{1,16}")
BATCH = (
    "state sealed_at rows events rejected packed sha256 attempts tried_at outcome endpoint"  # all but the id
).split()
UNSTORED = ("dropped:busy", "dropped:failed")  # recorded, but never given an id
UNKNOWN_ENVIRONMENT = Environment(
    "unknown", "other", "other", "unknown", "other", "0.0", "other"
)  # its own row is broken

EnvironmentValues = tuple[str, ...]
Events = dict[int, tuple[Any, ...]]  # day, event and environment by id


@dataclass
class RecoveredData:
    """What was read: counts by (day, event, place), whole batches, totals, and how many events the old file claimed."""

    counts: Counter[tuple[int, int, EnvironmentValues]] = field(default_factory=Counter)
    batches: list[dict[str, Any]] = field(default_factory=list)
    tallies: Counter[str] = field(default_factory=Counter)
    installation: tuple[str, int] | None = None
    environments: dict[Any, EnvironmentValues] = field(default_factory=dict)
    events: Events = field(default_factory=dict)
    last_id: int = 0

    @property
    def saved(self) -> int:
        """Events that have a place in the new books."""
        waiting = sum(batch["events"] for batch in self.batches if batch["state"] in UNSETTLED)
        counted = self.counts.total() + sum(self.tallies.values()) - self.tallies["recovered"]
        return counted + int(waiting)

    @property
    def claimed(self) -> int:
        """Events that the old books had recorded; at least those that were saved."""
        return max(self.saved, self.last_id + sum(self.tallies[name] for name in (*UNSTORED, "recovered")))


def read(copy: str) -> RecoveredData:
    """Read what can be read; nothing at all of a file that is not a database, or whose schema is broken."""
    found = RecoveredData()
    try:
        _read_database(copy, found)
    except (*FAULTS, Damaged) as error:
        _only_damage(error)
    for row in found.events.values():
        _count_one(found, row)
    found.last_id = last_credible(id_ for id_ in found.events if _is_count(id_))
    return found


def _only_damage(error: Exception) -> None:
    """Pass over what is broken; a full disk or a lock passes by itself, and is no reason to give anything up."""
    if not is_damage(error):
        raise error


def _read_database(path: str, found: RecoveredData) -> None:
    if leads_elsewhere(path):
        raise Damaged("its journal names another file")
    with closing(sqlite3.connect(path, isolation_level=None, timeout=5.0)) as connection:
        limit_vm_steps(connection, COMMAND_VM_STEPS)
        for pragma in ("trusted_schema = OFF", "user_version"):
            connection.execute(f"PRAGMA {pragma}")
        check_shape(connection, STATEMENTS)
        connection.execute("SELECT 1 FROM spool, environments, events, folded, batches, rows, tallies LIMIT 0")
        _read_tables(connection, found)


def _read_tables(connection: sqlite3.Connection, found: RecoveredData) -> None:
    connection.text_factory = lambda octets: octets.decode("utf-8", "replace")
    found.environments |= {
        row[0]: row[1:] for row in _rows(connection, "environments", "*", "id") if is_allowed(row[1:])
    }
    found.events |= {row[0]: row[1:] for row in _rows(connection, "events", "id, day, event, environment", "id")}
    # A page that a broken tree reaches twice, once as it was, must not count twice.
    folded = sorted(
        _rows(connection, "folded", "*", "day, event, environment"), key=lambda row: _is_count(row[3]) and row[3]
    )
    for *key, count in {row[:3]: row for row in folded}.values():
        _count(found, key[0], key[1], found.environments.get(key[2]), count)
    for name, count in _rows(connection, "tallies", "*", "name"):
        if isinstance(name, str) and TALLY.fullmatch(name) and _is_count(count):
            found.tallies[name] = max(count, found.tallies[name])
    for installation, day in _rows(connection, "spool", "installation, installed_day", "id"):
        if is_uuid(installation) and _is_count(day):
            found.installation = installation, day
    _read_batches(connection, found)


def _read_batches(connection: sqlite3.Connection, found: RecoveredData) -> None:
    rows = _rows(connection, "rows", "uid, batch, day, event, environment, count", "uid")
    for number, *values in _rows(connection, "batches", ", ".join(("id", *BATCH)), "id"):
        batch = dict(zip(BATCH, values, strict=True))
        own = [
            (uid, day, event, found.environments.get(place, UNKNOWN_ENVIRONMENT), n)
            for uid, of, day, event, place, n in rows
            if of == number
        ]
        if _is_whole(batch):
            batch["own"] = [row for row in own if is_uuid(row[0]) and _is_row(row[1], row[2], row[4])]
            found.batches.append(batch)
        elif batch["attempts"] == 0 and batch["state"] in {BatchState.SEALED, BatchState.PARKED}:
            for _, *row in own:  # never tried, so nobody knows its uids: its counts can be sealed anew
                _count(found, *row)


def _rows(connection: sqlite3.Connection, table: str, columns: str, key: str) -> list[tuple[Any, ...]]:
    """The rows of a table, read from both ends up to a broken page, and never through an index."""
    found: dict[tuple[Any, ...], None] = {}
    for order in ("ASC", "DESC"):
        ordered = ", ".join(f"{column} {order}" for column in key.split(", "))
        try:
            for row in connection.execute(f"SELECT {columns} FROM {table} NOT INDEXED ORDER BY {ordered}"):  # noqa: S608
                found[row] = None
        except FAULTS as error:
            _only_damage(error)
    return list(found)


def _count_one(found: RecoveredData, row: tuple[Any, ...]) -> None:
    day, event, place = row
    _count(found, day, event, found.environments.get(place), 1)


def last_credible(ids: Iterable[int]) -> int:
    """The largest id to which the others lead up; one that a flipped bit has thrown far ahead counts for nothing."""
    last = 0
    for id_ in sorted(ids):
        if last and id_ - last > MAX_ID_GAP:
            break
        last = id_
    return last


def _count(found: RecoveredData, day: Any, event: Any, place: EnvironmentValues | None, count: Any) -> None:
    if _is_row(day, event, count):
        found.counts[day, event, place or UNKNOWN_ENVIRONMENT] += count


def _is_row(day: Any, event: Any, count: Any) -> bool:
    return event in EVENT_NAMES and is_day(day) and _is_count(count)


def _is_count(value: Any) -> bool:
    return type(value) is int and (value == 0 or is_count(value))


def _is_whole(batch: dict[str, Any]) -> bool:
    """Whether a batch's bytes are the ones that were sealed, or were let go of on purpose."""
    texts = all(isinstance(batch[name], str | None) for name in ("outcome", "endpoint"))
    counts = all(_is_count(batch[name]) for name in ("events", "rows", "rejected", "attempts", "sealed_at"))
    if not (texts and counts and batch["state"] in STATES and isinstance(batch["tried_at"], int | None)):
        return False
    if batch["state"] == BatchState.DROPPED and batch["packed"] == b"":
        return isinstance(batch["sha256"], str)
    try:
        return bool(hashlib.sha256(gzip.decompress(batch["packed"])).hexdigest() == batch["sha256"])
    except (OSError, EOFError, TypeError, zlib.error):
        return False
