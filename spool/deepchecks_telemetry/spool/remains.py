"""What is left of a damaged spool: read past its broken pages, without its indexes, and held to the catalogue.

Tables are read from both ends; events, the latest of which nobody else has seen, from the bare pages as well.
"""

import gzip
import hashlib
import os
import re
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

from deepchecks_telemetry.spool.catalogue import NAMES, is_allowed
from deepchecks_telemetry.spool.pages import read_rows
from deepchecks_telemetry.spool.schema import EXPORTED, FINAL, PARKED, SEALED, STATES

MOST_OF_ONE = 2**40  # a larger count in one place is a flipped bit
LAST_DAY = 2**16  # the year 2149
LARGEST = 2**26  # bytes; a spool stays within 2 MB, so more than this is somebody else's file
LEAP = 100_000  # ids are consecutive, but for those in broken pages: at 100 a page, a thousand pages of 1 KB

TALLY = re.compile("delivered|rejected|recovered|dropped:[a-z]{1,16}")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
BATCH = (
    "state sealed_at rows events rejected packed sha256 attempts tried_at outcome endpoint"  # all but the id
).split()
UNSTORED = ("dropped:busy", "dropped:failed")  # recorded, but never given an id
EMPTIED = (0, 0, 0)  # what folding leaves of the last event

Place = tuple[str, ...]
Events = dict[int, tuple[Any, ...]]  # day, event and environment by id


@dataclass
class Remains:
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
        return max(self.saved, self.last_id + sum(self.tallies[name] for name in (*UNSTORED, "recovered")))


def read(copy: str) -> Remains:
    """Read what can be read; nothing at all of a file that is no database."""
    found = Remains()
    stored: Events = {}
    places, bare = _read_pages(copy)  # first: SQLite takes a WAL away that it cannot read
    try:
        with closing(sqlite3.connect(copy, isolation_level=None, timeout=5.0)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            _read_tables(connection, found, places, stored)
    except sqlite3.Error:
        pass  # what was read so far is kept
    _count_events(found, places, stored, bare)
    return found


def _read_tables(connection: sqlite3.Connection, found: Remains, places: dict[Any, Place], stored: Events) -> None:
    connection.text_factory = lambda octets: octets.decode("utf-8", "replace")
    places |= {row[0]: row[1:] for row in _rows(connection, "environments", "*", "id") if is_allowed(row[1:])}
    stored |= {row[0]: row[1:] for row in _rows(connection, "events", "id, day, event, environment", "id")}
    # A page that a broken tree reaches twice, once as it was, must not count twice.
    folded = sorted(
        _rows(connection, "folded", "*", "day, event, environment"), key=lambda row: _is_count(row[3]) and row[3]
    )
    for *key, count in {row[:3]: row for row in folded}.values():
        _count(found, key[0], key[1], places.get(key[2]), count)
    for name, count in _rows(connection, "tallies", "*", "name"):
        if isinstance(name, str) and TALLY.fullmatch(name) and _is_count(count):
            found.tallies[name] = max(count, found.tallies[name])
    for installation, day in _rows(connection, "spool", "installation, installed_day", "id"):
        if isinstance(installation, str) and UUID.fullmatch(installation) and _is_count(day):
            found.installation = installation, day
    _read_batches(connection, found, places)


def _read_batches(connection: sqlite3.Connection, found: Remains, places: dict[Any, Place]) -> None:
    rows = _rows(connection, "rows", "uid, batch, day, event, environment, count", "uid")
    files = _rows(connection, "exports", "batch, path, part, sha256", "batch, path")
    for number, *values in _rows(connection, "batches", ", ".join(("id", *BATCH)), "id"):
        batch = dict(zip(BATCH, values, strict=True))
        own = [(uid, day, event, places.get(place), n) for uid, of, day, event, place, n in rows if of == number]
        if _is_whole(batch):
            batch["own"] = [row for row in own if UUID.fullmatch(str(row[0])) and _is_row(*row[1:])]
            batch["files"] = [file for of, *file in files if of == number and all(isinstance(x, str) for x in file)]
            found.batches.append(batch)
        elif batch["attempts"] == 0 and batch["state"] in {SEALED, PARKED}:
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
        except sqlite3.Error:
            continue
    return list(found)


def _read_pages(copy: str) -> tuple[dict[Any, Place], Events]:
    """The environments and events that stand in whole pages, free ones too; nothing of what is no file of ours."""
    places: dict[Any, Place] = {}
    events: Events = {}
    for suffix in ("", "-wal"):
        with suppress(OSError):
            if os.path.getsize(copy + suffix) < LARGEST:
                with open(copy + suffix, "rb") as file:
                    for id_, (_, *row) in read_rows(file.read(), is_wal=bool(suffix)):
                        if is_allowed(tuple(row)):
                            places[id_] = tuple(map(str, row))
                        elif row == [*EMPTIED] or (len(row) == 3 and _is_row(row[0], row[1], (), 1)):
                            events[id_] = tuple(row)
    return places, events


def _count_events(found: Remains, places: dict[Any, Place], stored: Events, bare: Events) -> None:
    """Count the events, and those too that only the bare pages know; of these never more than the books miss."""
    events = {id_: row for id_, row in (bare | stored).items() if _is_count(id_)}
    for id_ in events.keys() & stored.keys():
        _count_one(found, places, events[id_])
    folded = max((id_ for id_, row in events.items() if row == EMPTIED), default=0)
    found.last_id = last_credible(events, LEAP)
    # A page that is free by now still holds events, which were folded since: ids up to `folded`.
    for id_ in sorted((id_ for id_ in events.keys() - stored.keys() if folded < id_ <= found.last_id), reverse=True):
        if found.saved < found.claimed:
            _count_one(found, places, events[id_])


def _count_one(found: Remains, places: dict[Any, Place], row: tuple[Any, ...]) -> None:
    day, event, place = row
    _count(found, day, event, places.get(place), 1)


def last_credible(ids: Iterable[int], step: int) -> int:
    """The largest id to which the others lead up; one that a flipped bit has thrown far ahead counts for nothing."""
    last = 0
    for id_ in sorted(ids):
        if last and id_ - last > step:
            break
        last = id_
    return last


def _count(found: Remains, day: Any, event: Any, place: Place | None, count: Any) -> None:
    if place is not None and _is_row(day, event, place, count):
        found.counts[day, event, place] += count


def _is_row(day: Any, event: Any, place: Place | None, count: Any) -> bool:
    return event in NAMES and _is_count(day) and day < LAST_DAY and _is_count(count) and place is not None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < MOST_OF_ONE


def _is_whole(batch: dict[str, Any]) -> bool:
    """Whether a batch's bytes are the ones that were sealed, or were let go of on purpose."""
    texts = all(isinstance(batch[name], str | None) for name in ("outcome", "endpoint"))
    counts = all(_is_count(batch[name]) for name in ("events", "rows", "rejected", "attempts", "sealed_at"))
    if not (texts and counts and batch["state"] in STATES and isinstance(batch["tried_at"], int | None)):
        return False
    if batch["state"] == EXPORTED and batch["packed"] == b"":
        return isinstance(batch["sha256"], str)
    try:
        return bool(hashlib.sha256(gzip.decompress(batch["packed"])).hexdigest() == batch["sha256"])
    except (OSError, EOFError, TypeError, zlib.error):
        return False
