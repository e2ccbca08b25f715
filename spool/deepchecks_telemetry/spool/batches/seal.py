"""Seals pending counts into a batch: rows with a `uid` each, and the bytes to send, which never change again.

Nothing outside the catalogue is sealed, even if the spool was edited by hand.
"""

import gzip
import hashlib
import sqlite3
import time
from collections.abc import Callable, Container
from dataclasses import dataclass
from uuid import uuid4

from deepchecks_telemetry.spool.batches.queue import DAY_S, DAYS_AHEAD, MAX_PARKED
from deepchecks_telemetry.spool.catalogue import EVENT_NAMES, LAST_DAY, Environment, is_allowed, is_count, is_day
from deepchecks_telemetry.spool.db.busy import monotonic, writing
from deepchecks_telemetry.spool.db.compaction import add_tally, checkpoint, fold
from deepchecks_telemetry.spool.db.connection import BUSY_TIMEOUT_S, opened
from deepchecks_telemetry.spool.db.schema import ENVIRONMENT_COLUMNS, SELECT_STATE, parse_state
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.identity import is_uuid
from deepchecks_telemetry.spool.recording.watch import today
from deepchecks_telemetry.spool.recovery.maintenance import INTEGER_COLUMNS, with_maintenance
from deepchecks_telemetry.spool.states import BatchState, in_states

MAX_ROWS = 1000  # of some 300 bytes each, far below the 1 MiB that receivers commonly accept
YEAR = 365  # days after which an installation gets a new id, so that its later rows cannot be joined with earlier ones


@dataclass(frozen=True, slots=True)
class Row:
    """A sealed count: `day` is a UTC day since 1970-01-01, `uid` is OpenTelemetry's `log.record.uid`."""

    uid: str
    day: int
    event: str
    environment: Environment
    count: int


Render = Callable[[str, list[Row]], bytes]
Key = tuple[int, int, int, int]  # day, event, environment, count


def seal(
    home: Home,
    render: Render,
    *,
    while_unsent: bool = False,
    already_checked: bool = False,
    clock: Callable[[], float] = time.time,
) -> bool:
    """Seal up to `MAX_ROWS` of the oldest counts; True if a batch was sealed.

    Nothing is sealed while another batch is sealed, or `MAX_PARKED` are parked, except with `while_unsent`, because a
    file can contain many. `render(installation_id, rows)` returns the body that is stored with the batch; a retry sends
    the same bytes. `already_checked` skips the check of the large tables, directly after another batch.
    """

    def act() -> bool:
        with hold(home.lock, BUSY_TIMEOUT_S), opened(home, locked=True) as connection:
            with writing(connection, monotonic() + BUSY_TIMEOUT_S):
                fold(connection)
                _redate_far_future(connection, int(clock()))
                sealed = (while_unsent or not _is_blocked(connection)) and _seal(connection, render, int(clock()))
            checkpoint(connection)
        return sealed

    return with_maintenance(home, act, check_tables=["batches"] if already_checked else INTEGER_COLUMNS)


def _is_blocked(connection: sqlite3.Connection) -> bool:
    unsent = in_states(BatchState.SEALED, BatchState.PARKED)
    states = [state for (state,) in connection.execute(f"SELECT state FROM batches WHERE state IN {unsent}")]  # noqa: S608
    return BatchState.SEALED in states or len(states) >= MAX_PARKED


def _seal(connection: sqlite3.Connection, render: Render, now: int) -> bool:
    epoch, installation = parse_state(connection.execute(SELECT_STATE).fetchone())
    if epoch % 2 or installation is None:
        return False
    found = connection.execute(f"SELECT id, {ENVIRONMENT_COLUMNS} FROM environments")  # noqa: S608
    environments = {number: Environment(*values) for number, *values in found if is_allowed(tuple(values))}
    while keys := _take_oldest(connection, now // DAY_S):
        known = [key for key in keys if _is_known(key, environments)]
        unknown = [count for *_, count in set(keys) - set(known) if is_count(count)]
        add_tally(connection, "dropped:unknown", sum(unknown))
        if known:
            rows = [
                Row(str(uuid4()), day, EVENT_NAMES[event], environments[number], n) for day, event, number, n in known
            ]
            _store(connection, rows, known, render(_identify(connection, installation, now), rows), now)
            return True
    return False


def _redate_far_future(connection: sqlite3.Connection, now: int) -> None:
    """Move counts that are dated more than `DAYS_AHEAD` ahead to today; the clock was wrong when they were recorded.

    Receivers reject records of the future permanently. A value that is not a day is not changed, and is dropped as
    unknown. Nothing is moved if the clock now was never set.
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
    """Remove and return up to `MAX_ROWS` counts, oldest first; none of a day that has not come."""
    keys = connection.execute(
        "SELECT day, event, environment, count FROM folded WHERE NOT (typeof(day) = 'integer' AND day BETWEEN ? AND ?) "
        "ORDER BY day, environment, event LIMIT ?",
        (day + 1, day + DAYS_AHEAD, MAX_ROWS),
    ).fetchall()
    connection.executemany("DELETE FROM folded WHERE (day, event, environment) = (?, ?, ?)", [key[:3] for key in keys])
    return keys


def _is_known(key: Key, environments: Container[int]) -> bool:
    """Whether all values are in the catalogue; an invalid day or count could be the bytes of a text."""
    day, event, environment, count = key
    return is_day(day) and event in EVENT_NAMES and environment in environments and is_count(count)


def _identify(connection: sqlite3.Connection, installation: str, now: int) -> str:
    """The installation's id for this batch: a new one after a year, or if the stored one is not valid."""
    day = today(lambda: now)
    (since,) = connection.execute("SELECT installed_day FROM spool").fetchone()
    # `abs`, because an id that was created while the clock was a year ahead would otherwise be kept for two years.
    if is_uuid(installation) and is_day(since) and abs(day - since) < YEAR:
        return installation
    new_id = str(uuid4())
    connection.execute("UPDATE spool SET installation = ?, installed_day = ?", (new_id, day))
    return new_id


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
