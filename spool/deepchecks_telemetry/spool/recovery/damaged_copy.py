"""Reads what SQLite can read of a damaged spool, without its indexes; values outside the catalogue are ignored.

Each table is read from both ends, up to a broken page. If the schema itself is broken, nothing is read.
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
from deepchecks_telemetry.spool.db.schema import STATEMENTS
from deepchecks_telemetry.spool.db.schema_guard import COMMAND_VM_STEPS, check_shape, limit_vm_steps
from deepchecks_telemetry.spool.db.sqlite_errors import FAULTS, is_damage
from deepchecks_telemetry.spool.errors import Damaged
from deepchecks_telemetry.spool.files.regular import leads_elsewhere
from deepchecks_telemetry.spool.identity import is_uuid
from deepchecks_telemetry.spool.states import STATES, UNSETTLED, BatchState

MAX_ID_GAP = 100_000  # ids are consecutive except for broken pages; at 100 a page, this is a thousand pages of 1 KB

TALLY = re.compile("delivered|rejected|recovered|dropped:[a-z]{1,16}")
BATCH = (
    "state sealed_at rows events rejected packed sha256 attempts tried_at outcome endpoint"  # all but the id
).split()
UNSTORED = ("dropped:busy", "dropped:failed")  # recorded, but without an id
UNKNOWN_ENVIRONMENT = Environment("unknown", "other", "other", "unknown", "other", "0.0", "other")

EnvironmentValues = tuple[str, ...]
Events = dict[int, tuple[Any, ...]]  # day, event and environment by id


@dataclass
class RecoveredData:
    """What was read: counts by (day, event, environment), intact batches, tallies, and the largest id."""

    counts: Counter[tuple[int, int, EnvironmentValues]] = field(default_factory=Counter)
    batches: list[dict[str, Any]] = field(default_factory=list)
    tallies: Counter[str] = field(default_factory=Counter)
    installation: tuple[str, int] | None = None
    environments: dict[Any, EnvironmentValues] = field(default_factory=dict)
    events: Events = field(default_factory=dict)
    last_id: int = 0

    @property
    def saved(self) -> int:
        """The number of events that are accounted for in the new spool."""
        unsettled = sum(batch["events"] for batch in self.batches if batch["state"] in UNSETTLED)
        counted = self.counts.total() + sum(self.tallies.values()) - self.tallies["recovered"]
        return counted + int(unsettled)

    @property
    def claimed(self) -> int:
        """The number of events that the damaged spool had recorded; at least those that were saved."""
        return max(self.saved, self.last_id + sum(self.tallies[name] for name in (*UNSTORED, "recovered")))


def read_damaged(copy: str) -> RecoveredData:
    """Read what can be read; nothing if the file is not a database, or its schema is broken."""
    recovered = RecoveredData()
    try:
        _read_database(copy, recovered)
    except (*FAULTS, Damaged) as error:
        _raise_unless_damage(error)
    for day, event, environment in recovered.events.values():
        _count(recovered, day, event, recovered.environments.get(environment), 1)
    recovered.last_id = last_credible(id_ for id_ in recovered.events if _is_count(id_))
    return recovered


def _raise_unless_damage(error: Exception) -> None:
    """Ignore damage; raise any other error, because a full disk or a lock is temporary, and nothing is lost yet."""
    if not is_damage(error):
        raise error


def _read_database(path: str, recovered: RecoveredData) -> None:
    if leads_elsewhere(path):
        raise Damaged("its journal names another file")
    with closing(sqlite3.connect(path, isolation_level=None, timeout=5.0)) as connection:
        limit_vm_steps(connection, COMMAND_VM_STEPS)
        for pragma in ("trusted_schema = OFF", "user_version"):
            connection.execute(f"PRAGMA {pragma}")
        check_shape(connection, STATEMENTS)
        connection.execute("SELECT 1 FROM spool, environments, events, folded, batches, rows, tallies LIMIT 0")
        _read_tables(connection, recovered)


def _read_tables(connection: sqlite3.Connection, recovered: RecoveredData) -> None:
    connection.text_factory = lambda octets: octets.decode("utf-8", "replace")
    recovered.environments |= {
        row[0]: row[1:] for row in _rows(connection, "environments", "*", "id") if is_allowed(row[1:])
    }
    recovered.events |= {row[0]: row[1:] for row in _rows(connection, "events", "id, day, event, environment", "id")}
    # A broken tree can reach an old version of a page besides the current one; its rows must not count twice.
    folded = sorted(
        _rows(connection, "folded", "*", "day, event, environment"), key=lambda row: _is_count(row[3]) and row[3]
    )
    for *key, count in {row[:3]: row for row in folded}.values():
        _count(recovered, key[0], key[1], recovered.environments.get(key[2]), count)
    for name, count in _rows(connection, "tallies", "*", "name"):
        if isinstance(name, str) and TALLY.fullmatch(name) and _is_count(count):
            recovered.tallies[name] = max(count, recovered.tallies[name])
    for installation, day in _rows(connection, "spool", "installation, installed_day", "id"):
        if is_uuid(installation) and _is_count(day):
            recovered.installation = installation, day
    _read_batches(connection, recovered)


def _read_batches(connection: sqlite3.Connection, recovered: RecoveredData) -> None:
    rows = _rows(connection, "rows", "uid, batch, day, event, environment, count", "uid")
    for number, *values in _rows(connection, "batches", ", ".join(("id", *BATCH)), "id"):
        batch = dict(zip(BATCH, values, strict=True))
        batch_rows = [
            (uid, day, event, recovered.environments.get(environment, UNKNOWN_ENVIRONMENT), count)
            for uid, batch_number, day, event, environment, count in rows
            if batch_number == number
        ]
        if _is_intact(batch):
            batch["uid_rows"] = [row for row in batch_rows if is_uuid(row[0]) and _is_row(row[1], row[2], row[4])]
            recovered.batches.append(batch)
        elif batch["attempts"] == 0 and batch["state"] in {BatchState.SEALED, BatchState.PARKED}:
            for _, *row in batch_rows:  # never tried, so no receiver has its uids, and its counts can be sealed again
                _count(recovered, *row)


def _rows(connection: sqlite3.Connection, table: str, columns: str, key: str) -> list[tuple[Any, ...]]:
    """The rows of a table, read from both ends up to a broken page, and never through an index."""
    read_rows: dict[tuple[Any, ...], None] = {}
    for order in ("ASC", "DESC"):
        ordered = ", ".join(f"{column} {order}" for column in key.split(", "))
        try:
            for row in connection.execute(f"SELECT {columns} FROM {table} NOT INDEXED ORDER BY {ordered}"):  # noqa: S608
                read_rows[row] = None
        except FAULTS as error:
            _raise_unless_damage(error)
    return list(read_rows)


def last_credible(ids: Iterable[int]) -> int:
    """The largest id before a gap above `MAX_ID_GAP`; an id beyond it comes from a flipped bit and is ignored."""
    last = 0
    for id_ in sorted(ids):
        if last and id_ - last > MAX_ID_GAP:
            break
        last = id_
    return last


def _count(recovered: RecoveredData, day: Any, event: Any, environment: EnvironmentValues | None, count: Any) -> None:
    if _is_row(day, event, count):
        recovered.counts[day, event, environment or UNKNOWN_ENVIRONMENT] += count


def _is_row(day: Any, event: Any, count: Any) -> bool:
    return event in EVENT_NAMES and is_day(day) and _is_count(count)


def _is_count(value: Any) -> bool:
    return type(value) is int and (value == 0 or is_count(value))


def _is_intact(batch: dict[str, Any]) -> bool:
    """Whether a batch's bytes are those that were sealed, or were deleted because it was dropped."""
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
