"""The hot path: one event is one SQL statement that carries its own fence; acknowledged, it survives a SIGKILL.

The statement is one write transaction: a `disable` that has closed the fence in a transaction of its own can never be
overtaken by it, whatever this process had read before.
"""

import os
import sqlite3
import time
from _thread import allocate_lock
from collections.abc import Callable, Mapping
from typing import Any

from deepchecks_telemetry.spool import environment, kept
from deepchecks_telemetry.spool.catalogue import is_allowed
from deepchecks_telemetry.spool.consent import OFF, decide
from deepchecks_telemetry.spool.errors import Busy, SpoolError
from deepchecks_telemetry.spool.fold import tidy
from deepchecks_telemetry.spool.identity import new_uuid
from deepchecks_telemetry.spool.paths import Home
from deepchecks_telemetry.spool.patience import patiently
from deepchecks_telemetry.spool.schema import connect, create, is_busy

DEADLINE_S = 0.1  # the longest that one record waits for others
FIRST_DEADLINE_S = 2.0  # the same where the spool must be made first, perhaps by a hundred processes at once
LOOK_S = 0.01  # a change by hand (the choice edited, the spool removed) is noticed after this time at the latest
REST_S = 1.0  # a spool that could not be opened is left alone for this time
FOLD_EVERY = 1000  # events; keeps the WAL near 1 MB

APPEND = "INSERT INTO events (day, event, environment) SELECT ?, ?, ? FROM spool WHERE epoch = ?"
IDENTIFY = "UPDATE spool SET installation = ?, installed_day = ? WHERE installation IS NULL AND epoch = ?"
REOPEN = "UPDATE spool SET epoch = epoch + 1 WHERE epoch = ?"
_COLUMNS = "deepchecks_version, os_type, os_name, os_version, python_name, python_version, runtime"
KNOWN = f"SELECT id FROM environments WHERE ({_COLUMNS}) = (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
REGISTER = f"INSERT OR IGNORE INTO environments ({_COLUMNS}) SELECT ?, ?, ?, ?, ?, ?, ? FROM spool WHERE epoch = ?"  # noqa: S608
DROP = """INSERT INTO tallies SELECT 'dropped:busy', ? FROM spool WHERE epoch = ?
ON CONFLICT DO UPDATE SET count = count + excluded.count"""


def today(clock: Callable[[], float] = time.time) -> int:
    """The UTC day, counted from 1970-01-01; nothing finer is ever stored of an event."""
    return int(clock() // 86400)


class Writer:
    """One process's way into the spool of `home`; it notices every change and opens the spool again by itself."""

    def __init__(self, home: Home, environ: Mapping[str, str] = os.environ) -> None:
        self.home = home
        self._environ = environ
        self._guard = allocate_lock()  # the same as threading's, without its import
        self._connection: sqlite3.Connection | None = None
        self._run: Callable[..., sqlite3.Cursor] = sqlite3.Cursor.execute  # replaced by _open()
        self._epoch = self._place = self._dropped = 0
        self._look_at = self._rest_until = 0.0
        self._seen: tuple[object, ...] = ()

    def append(self, number: int) -> bool:
        """Store one event: True means that it survives this process, False that it is not stored."""
        deadline = time.monotonic() + DEADLINE_S
        if not self._guard.acquire(timeout=DEADLINE_S):
            self._dropped += 1
            return False
        try:
            return self._store(number, deadline)
        except Busy:
            self._dropped += 1
            return False
        except (SpoolError, OSError, sqlite3.Error):
            self._rest()
            return False
        finally:
            self._guard.release()

    def _store(self, number: int, deadline: float) -> bool:
        if time.monotonic() >= self._look_at:
            self._look()
        for _ in range(3):
            if self._connection is None and not self._open(deadline):
                return False
            stored = self._execute(APPEND, (today(), number, self._place, self._epoch), deadline)
            if stored.rowcount == 1:
                self._keep_house(stored.lastrowid or 0, deadline)
                return True
            self._abandon()  # the fence has moved, and all that this process knew went with it
        return False

    def _execute(self, statement: str, values: tuple[Any, ...], deadline: float) -> sqlite3.Cursor:
        try:
            return self._run(statement, values)
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
        return patiently(lambda: self._run(statement, values), deadline)

    def _look(self) -> None:
        """See whether anybody edited a choice, or put another file (or none) where the spool was."""
        now = time.monotonic()
        self._look_at = now + LOOK_S
        seen = tuple(map(_stamp, (self.home.mode, self.home.policy_mode))), _stamp(self.home.spool)[:2]
        if seen != self._seen:
            self._seen = seen
            self._rest_until = 0.0
            self._abandon()

    def _open(self, deadline: float) -> bool:
        """Read the fence, then the choice: `disable` writes them the other way round, so none slips between."""
        if time.monotonic() < self._rest_until:
            return False
        here = environment.current()
        if decide(self.home, self._environ).mode == OFF or not is_allowed(here):
            return self._rest()
        connection = self._connect(deadline)
        kept.keep(connection)
        self._connection = connection
        self._run = connection.cursor().execute  # one cursor for all: making one costs 0.5 of 8 µs
        (self._epoch,) = self._execute("SELECT epoch FROM spool", (), deadline).fetchone()
        if decide(self.home, self._environ, closed=self._is_closed).mode == OFF:
            return self._rest()
        if self._is_closed():  # and yet the choice is open: a person has changed it by hand since that disable
            self._execute(REOPEN, (self._epoch,), deadline)
            self._epoch += 1
        self._execute(IDENTIFY, (new_uuid(), today(), self._epoch), deadline)
        return self._find_place(tuple(here), deadline)

    def _connect(self, deadline: float) -> sqlite3.Connection:
        try:
            connection = patiently(lambda: connect(self.home), deadline)
        except FileNotFoundError:
            create(self.home, FIRST_DEADLINE_S)
            connection = patiently(lambda: connect(self.home), deadline)
        self._seen = (self._seen[0], _stamp(self.home.spool)[:2]) if self._seen else ()
        return connection

    def _is_closed(self) -> bool:
        return self._epoch % 2 == 1

    def _find_place(self, here: tuple[str, ...], deadline: float) -> bool:
        for _ in range(2):
            found = self._execute(KNOWN, here, deadline).fetchone()
            if found:
                (self._place,) = found
                return True
            self._execute(REGISTER, (*here, self._epoch), deadline)
        return False

    def _keep_house(self, last_id: int, deadline: float) -> None:
        if self._dropped:
            self._execute(DROP, (self._dropped, self._epoch), deadline)
            self._dropped = 0
        if last_id % FOLD_EVERY == 0 and self._connection is not None:
            tidy(self.home, self._connection)

    def _abandon(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            kept.close(connection)

    def _rest(self) -> bool:
        self._abandon()
        self._rest_until = time.monotonic() + REST_S
        return False


def _stamp(path: str) -> tuple[int, ...]:
    """What tells one state of a file from another: which file it is, first, then its last change and size."""
    try:
        found = os.stat(path)
    except OSError as error:
        return (-1, error.errno or 0)
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
