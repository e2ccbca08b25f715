"""Sealing: what waits becomes one batch of rows, each with a `uid` that never changes again, and the bytes to send.

Whatever stands in the file, which may have been edited by hand, nothing outside the catalogue is sealed.
"""

import gzip
import hashlib
import sqlite3
import time
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from uuid import uuid4

from deepchecks_telemetry.spool.batches.queue import DAY_S, DAYS_AHEAD, MAX_PARKED
from deepchecks_telemetry.spool.catalogue import EVENT_NAMES, LAST_DAY, Environment, is_allowed, is_count, is_day
from deepchecks_telemetry.spool.db.busy import monotonic, writing
from deepchecks_telemetry.spool.db.compaction import add_tally, checkpoint, fold
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.db.schema import ENVIRONMENT_COLUMNS, SELECT_STATE, BatchState, in_states, parse_state
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.identity import is_uuid
from deepchecks_telemetry.spool.recording.watch import today
from deepchecks_telemetry.spool.recovery.maintenance import INTEGER_COLUMNS, with_maintenance

MAX_ROWS = 1000  # of some 300 bytes each: far below the 1 MiB that receivers commonly take
LOCK_S = 5.0
YEAR = 365  # days after which nobody can join what an installation sends from then on with what it sent before


@dataclass(frozen=True, slots=True)
class Row:
    """A sealed count: `day` is a UTC day since 1970-01-01, `uid` OpenTelemetry's key against duplicates."""

    uid: str
    day: int
    event: str
    environment: Environment
    count: int


Render = Callable[[str, list[Row]], bytes]
Key = tuple[int, int, int, int]  # day, event, environment, and how often


def seal(
    home: Home,
    render: Render,
    *,
    while_unsent: bool = False,
    already_checked: bool = False,
    clock: Callable[[], float] = time.time,
) -> bool:
    """Seal up to `MAX_ROWS` of the oldest counts, unless a batch still waits; True when a batch was made.

    `render(installation_id, rows)` gives the body that is stored with the batch; a retry sends the same bytes. With
    `while_unsent`, also where a batch waits: a file takes many. With `already_checked`, right after another batch, the rows that wait
    are not already_checked through once more.
    """
    reads = ["batches"] if already_checked else INTEGER_COLUMNS
    return with_maintenance(
        home, lambda: _seal_under_lock(home, render, clock, while_unsent=while_unsent), check_tables=reads
    )


def _seal_under_lock(home: Home, render: Render, clock: Callable[[], float], *, while_unsent: bool) -> bool:
    with hold(home.lock, LOCK_S), opened(home, locked=True) as connection:
        with writing(connection, monotonic() + LOCK_S):
            fold(connection)
            _book_far_future(connection, int(clock()))
            made = (while_unsent or not _waiting(connection)) and _seal(connection, render, int(clock()))
        checkpoint(connection)
    return made


def _waiting(connection: sqlite3.Connection) -> bool:
    waiting = in_states(BatchState.SEALED, BatchState.PARKED)
    states = [state for (state,) in connection.execute(f"SELECT state FROM batches WHERE state IN {waiting}")]  # noqa: S608
    return BatchState.SEALED in states or len(states) >= MAX_PARKED


def _seal(connection: sqlite3.Connection, render: Render, now: int) -> bool:
    epoch, installation = parse_state(connection.execute(SELECT_STATE).fetchone())
    if epoch % 2 or installation is None:
        return False
    places = _read_places(connection)
    while keys := _take_oldest(connection, now // DAY_S):
        known = [key for key in keys if _is_known(key, places)]
        _discard(connection, (key for key in keys if not _is_known(key, places)))
        if known:
            rows = [
                Row(str(uuid4()), day, EVENT_NAMES[event], places[place], count) for day, event, place, count in known
            ]
            _store(connection, rows, known, render(_identify(connection, installation, now), rows), now)
            return True
    return False


def _read_places(connection: sqlite3.Connection) -> dict[int, Environment]:
    found = connection.execute(f"SELECT id, {ENVIRONMENT_COLUMNS} FROM environments")  # noqa: S608
    return {place: Environment(*values) for place, *values in found if is_allowed(tuple(values))}


def _book_far_future(connection: sqlite3.Connection, now: int) -> None:
    """Count on today what a clock that stood more than `DAYS_AHEAD` ahead dated on a day that is too far to wait for.

    A receiver refuses a record of the future for good. What is not a day stays as it is: it is dropped as unknown. A
    clock that was never set says nothing about any day.
    """
    day = now // DAY_S
    if day != today(lambda: now):
        return
    far = "FROM folded WHERE typeof(day) = 'integer' AND day > ? AND day < ?"
    connection.execute(
        "INSERT INTO folded (day, event, environment, count) "
        f"SELECT ?, event, environment, sum(count) {far} GROUP BY event, environment "
        "ON CONFLICT DO UPDATE SET count = count + excluded.count",
        (day, day + DAYS_AHEAD, LAST_DAY),
    )
    connection.execute(f"DELETE {far}", (day + DAYS_AHEAD, LAST_DAY))


def _take_oldest(connection: sqlite3.Connection, day: int) -> list[Key]:
    """Up to `MAX_ROWS` counts, but none of a day that has not come."""
    keys = connection.execute(
        "SELECT day, event, environment, count FROM folded WHERE NOT (typeof(day) = 'integer' AND day BETWEEN ? AND ?) "
        "ORDER BY day, environment, event LIMIT ?",
        (day + 1, day + DAYS_AHEAD, MAX_ROWS),
    ).fetchall()
    connection.executemany("DELETE FROM folded WHERE (day, event, environment) = (?, ?, ?)", [key[:3] for key in keys])
    return keys


def _is_known(key: Key, places: Container[int]) -> bool:
    """Whether the catalogue names all of it; a day or a count that is none could be the bytes of a text."""
    day, event, place, count = key
    return is_day(day) and event in EVENT_NAMES and place in places and is_count(count)


def _discard(connection: sqlite3.Connection, keys: Iterable[Key]) -> None:
    add_tally(connection, "dropped:unknown", sum(count for *_, count in keys if is_count(count)))


def _identify(connection: sqlite3.Connection, installation: str, now: int) -> str:
    """The installation's id for this batch: another one after a year, and where a text stands that is none."""
    day = today(lambda: now)
    (since,) = connection.execute("SELECT installed_day FROM spool").fetchone()
    # A clock that was a year ahead when the id was given would keep it for two.
    if is_uuid(installation) and is_day(since) and abs(day - since) < YEAR:
        return installation
    another = str(uuid4())
    connection.execute("UPDATE spool SET installation = ?, installed_day = ?", (another, day))
    return another


def _store(connection: sqlite3.Connection, rows: list[Row], keys: list[Key], body: bytes, now: int) -> None:
    batch = connection.execute(
        "INSERT INTO batches (state, sealed_at, rows, events, packed, sha256) VALUES (?, ?, ?, ?, ?, ?)",
        (
            BatchState.SEALED,
            now,
            len(rows),
            sum(row.count for row in rows),
            gzip.compress(body, mtime=0),
            hashlib.sha256(body).hexdigest(),
        ),
    ).lastrowid
    connection.executemany(
        "INSERT INTO rows (uid, batch, day, event, environment, count) VALUES (?, ?, ?, ?, ?, ?)",
        [(row.uid, batch, *key) for row, key in zip(rows, keys, strict=True)],
    )
