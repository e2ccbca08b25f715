"""Sealing: what waits becomes one batch of rows, each with a `uid` that never changes again, and the bytes to send."""

import gzip
import hashlib
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

from deepchecks_telemetry.spool.catalogue import NAMES, Environment, is_allowed
from deepchecks_telemetry.spool.fold import checkpoint, fold
from deepchecks_telemetry.spool.identity import new_uuid
from deepchecks_telemetry.spool.lock import hold
from deepchecks_telemetry.spool.open import opened
from deepchecks_telemetry.spool.paths import Home
from deepchecks_telemetry.spool.patience import writing
from deepchecks_telemetry.spool.schema import HEAD, PLACE, SEALED, check_head
from deepchecks_telemetry.spool.tallies import add_tally
from deepchecks_telemetry.spool.upkeep import kept_up

MAX_ROWS = 1000  # of some 300 bytes each: far below the 1 MiB that receivers commonly take
MAX_PARKED = 8  # refused batches; past them counts go on being folded, so that years of 403 stay within bounds
LOCK_S = 5.0


@dataclass(frozen=True, slots=True)
class Row:
    """A sealed count: `day` is a UTC day since 1970-01-01, `uid` OpenTelemetry's key against duplicates."""

    uid: str
    day: int
    event: str
    environment: Environment
    count: int


Render = Callable[[str, list[Row]], bytes]


def seal(home: Home, render: Render, *, behind: bool = False, clock: Callable[[], float] = time.time) -> bool:
    """Seal up to `MAX_ROWS` of the oldest counts, unless a batch still waits; True when a batch was made.

    `render(installation_id, rows)` gives the body that is stored with the batch; a retry sends the same bytes. With
    `behind`, also where a batch waits: a file takes many.
    """
    return kept_up(home, lambda: _seal_under_lock(home, render, clock, behind=behind))


def _seal_under_lock(home: Home, render: Render, clock: Callable[[], float], *, behind: bool) -> bool:
    with hold(home.lock, LOCK_S), opened(home, locked=True) as connection:
        with writing(connection, time.monotonic() + LOCK_S):
            fold(connection)
            made = (behind or not _waiting(connection)) and _seal(connection, render, int(clock()))
        checkpoint(connection)
    return made


def _waiting(connection: sqlite3.Connection) -> bool:
    states = [state for (state,) in connection.execute("SELECT state FROM batches WHERE state IN ('sealed', 'parked')")]
    return SEALED in states or len(states) >= MAX_PARKED


def _seal(connection: sqlite3.Connection, render: Render, now: int) -> bool:
    epoch, installation = check_head(connection.execute(HEAD).fetchone())
    if epoch % 2 or installation is None:
        return False
    found = connection.execute(f"SELECT id, {PLACE} FROM environments")  # noqa: S608
    places = {place: Environment(*values) for place, *values in found}
    _discard_unknown(connection, places)
    keys = connection.execute(
        "SELECT day, event, environment, count FROM folded ORDER BY day, environment, event LIMIT ?", (MAX_ROWS,)
    ).fetchall()
    rows = [Row(new_uuid(), day, NAMES[event], places[place], count) for day, event, place, count in keys]
    if rows:
        _store(connection, rows, keys, render(installation, rows), now)
    connection.executemany("DELETE FROM folded WHERE (day, event, environment) = (?, ?, ?)", [key[:3] for key in keys])
    return bool(rows)


def _discard_unknown(connection: sqlite3.Connection, places: dict[int, Environment]) -> None:
    """Whatever stands in the file, nothing outside the catalogue is sealed: it may have been edited by hand."""
    kinds = connection.execute("SELECT event, environment, sum(count) FROM folded GROUP BY 1, 2").fetchall()
    for event, place, count in kinds:
        if event not in NAMES or not is_allowed(places.get(place, ())):
            add_tally(connection, "dropped:unknown", count)
            connection.execute("DELETE FROM folded WHERE (event, environment) = (?, ?)", (event, place))


def _store(
    connection: sqlite3.Connection, rows: list[Row], keys: list[tuple[int, int, int, int]], body: bytes, now: int
) -> None:
    batch = connection.execute(
        "INSERT INTO batches (state, sealed_at, rows, events, packed, sha256) VALUES ('sealed', ?, ?, ?, ?, ?)",
        (
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
