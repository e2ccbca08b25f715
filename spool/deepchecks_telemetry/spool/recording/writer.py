"""The hot path: one event is one SQL statement that carries its own fence; acknowledged, it survives a SIGKILL.

The statement is one write transaction: a `disable` that has closed the fence in a transaction of its own can never be
overtaken by it, whatever this process had read before.
"""

import os
import sqlite3
import time
from _thread import allocate_lock
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING

from deepchecks_telemetry.spool.catalogue import is_allowed
from deepchecks_telemetry.spool.consent import resource as environment
from deepchecks_telemetry.spool.consent.decision import OFF, decide
from deepchecks_telemetry.spool.db.busy import patiently
from deepchecks_telemetry.spool.db.schema import FAULTS, HEAD, PLACE, check_head, connect, create, is_busy, translate
from deepchecks_telemetry.spool.errors import Busy, Damaged, SpoolError
from deepchecks_telemetry.spool.files.directory import is_remote
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.quarantine import LEASE_S, identity, put_aside
from deepchecks_telemetry.spool.files.regular import is_shared
from deepchecks_telemetry.spool.identity import new_uuid
from deepchecks_telemetry.spool.recording import connections as kept

if TYPE_CHECKING:
    from deepchecks_telemetry.spool.db.busy import Result

DEADLINE_S = 0.1  # the longest that one record waits for others
FIRST_DEADLINE_S = 2.0  # the same where the spool must be made first, perhaps by a hundred processes at once
REST_S = 1.0  # a spool that could not be opened is left alone for this time
FIRST_DAY = 20_454  # 2026-01-01: there was none of us before
FOLD_EVERY = 1000  # events; keeps the WAL near 1 MB
FOLD_AGAIN = 200  # the same after a try that others were in the way of
CROWDED_BYTES = 2 * 2**20  # of WAL: whoever should fold is stuck behind a slow disk, a reader, or loops like our own
GAP_S = 0.005  # between two records of a loop then, so that the WAL stays within 4 MB
NEVER = 2**63

# With the day, the place and the fence written out: to bind them costs 0.3 of 8 µs, and they seldom change.
APPEND = "INSERT INTO events (day, event, environment) SELECT %d, ?, %d FROM spool WHERE epoch = %d"
IDENTIFY = "UPDATE spool SET installation = ?, installed_day = ? WHERE installation IS NULL AND epoch = ?"
REOPEN = "UPDATE spool SET epoch = epoch + 1 WHERE epoch = ?"
KNOWN = f"SELECT id FROM environments WHERE ({PLACE}) = (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
REGISTER = f"INSERT OR IGNORE INTO environments ({PLACE}) SELECT ?, ?, ?, ?, ?, ?, ? FROM spool WHERE epoch = ?"  # noqa: S608
DROP = """INSERT INTO tallies (name, count) SELECT 'dropped:' || ?, ? FROM spool WHERE epoch = ?
ON CONFLICT DO UPDATE SET count = count + excluded.count"""
BUSY, FAILED = "busy", "failed"  # reasons for a drop: a lock was held for too long, the system refused (a full disk …)

# One for all threads of the process, and for a fork: no lock of SQLite's may be held by a thread that the child lacks.
guard = allocate_lock()  # the same as threading's, without its import


def today(clock: Callable[[], float] = time.time) -> int:
    """The UTC day, counted from 1970-01-01; nothing finer is ever stored of an event.

    A clock that was never set, or whose battery is empty, says 1970: receivers refuse days older than ten years.
    """
    return max(FIRST_DAY, int(clock() // 86400))


class Writer:
    """One process's way into the spool of `home`; it notices every change and opens the spool again by itself."""

    def __init__(self, home: Home, environ: Mapping[str, str] = os.environ) -> None:
        self.home = home
        self._environ = environ
        self._connection: sqlite3.Connection | None = None
        self._run: Callable[..., sqlite3.Cursor] = sqlite3.Cursor.execute  # replaced by _open()
        self._append = ""  # filled in where its three numbers are known
        self._epoch = self._place = self._day = 0
        self._fold_at = NEVER
        self._deadline = self._looked_at = self._look_at = self._rest_until = 0.0
        self._choices: tuple[object, ...] = ()
        self._file: tuple[int, int] | None = None
        self._dropped: dict[str, int] = {}
        self._remote = False

    def append(self, number: int) -> bool:
        """Store one event: True means that it survives this process, False that it is not stored."""
        start = monotonic()
        if not (guard.acquire(False) or guard.acquire(timeout=DEADLINE_S)):  # noqa: FBT003 - a keyword costs 0.1 µs
            return self._drop(BUSY)
        self._deadline = start + DEADLINE_S
        try:
            return self._store(number, start)
        except Busy:
            if self._file is None:
                self._rest()  # it could not even be made: the host is not kept waiting for that again and again
            return self._drop(BUSY)
        except (SpoolError, OSError, *FAULTS) as error:
            # Another process may have put the file aside between two steps of ours; else it is for us to do.
            moved = isinstance(error, FileNotFoundError) or identity(self.home.spool) != self._file
            if moved or (is_damage(error) and self._replace_spool()):
                return self._store_anew(number)
            self._rest()
            return self._drop(FAILED)
        finally:
            guard.release()

    def close(self) -> None:
        """Let go of the spool, for now or for good; the caller holds `guard`."""
        self._run = sqlite3.Cursor.execute  # a cursor whose statement has failed would hold the connection open
        connection, self._connection = self._connection, None
        if connection is not None:
            kept.close(connection)

    def _store(self, number: int, now: float) -> bool:
        if self._connection is None or now >= self._look_at:
            self._look()
        for _ in (1, 2, 3):  # `range` would cost 0.06 µs
            if self._connection is None and not self._open():
                return False
            stored = self._execute(self._append, (number,))
            if stored.rowcount == 1:
                # Past the lease the row may be in a file that was put aside: then nobody knows whether it was saved.
                if monotonic() >= self._look_at and identity(self.home.spool) != self._file:
                    return False
                last_id = stored.lastrowid or 0
                if last_id % FOLD_EVERY == 0 or last_id >= self._fold_at or self._dropped:
                    self._keep_house(last_id)
                return True
            self.close()  # the fence has moved, and all that this process knew went with it
        return False

    def _execute(self, statement: str, values: tuple[object, ...]) -> sqlite3.Cursor:
        if not self._remote:
            try:
                return self._run(statement, values)
            except sqlite3.OperationalError as error:
                if not is_busy(error):
                    raise
        return self._take_turns(statement, values)

    def _take_turns(self, statement: str, values: tuple[object, ...]) -> sqlite3.Cursor:
        def act() -> sqlite3.Cursor:
            return self._run(statement, values)

        return self._alone(act) if self._remote else patiently(act, self._deadline)

    def _alone(self, act: "Callable[[], Result]") -> "Result":
        """Act under the file lock: SQLite's own cannot be trusted between machines."""
        from deepchecks_telemetry.spool.files.lock import hold

        with hold(self.home.lock, max(0.0, self._deadline - monotonic())):
            return patiently(act, self._deadline)

    def _look(self) -> None:
        """See whether anybody edited a choice, or put another file (or none) where the spool was."""
        now = monotonic()
        hurried, self._looked_at = now - self._looked_at < 2 * LEASE_S, now
        self._look_at = now + LEASE_S
        day = today()  # 10 ms late at midnight, and 0.3 of 8 µs cheaper than for each event
        if day != self._day:
            self._day = day
            self._fill_in()
        if hurried and self._is_crowded():
            time.sleep(GAP_S)
            self._look_at = 0.0
        choices = tuple(map(_stamp, self.home.watched))
        if choices != self._choices:
            self._choices = choices
            self._rest_until = 0.0
            self.close()
        if self._connection is not None and identity(self.home.spool) != self._file:
            self.close()

    def _fill_in(self) -> None:
        self._append = APPEND % (self._day, self._place, self._epoch)

    def _is_crowded(self) -> bool:
        try:
            return os.stat(self.home.spool + "-wal").st_size > CROWDED_BYTES
        except OSError:
            return False

    def _open(self) -> bool:
        """Open the spool wholly or not at all: half open, it would append with a place, a fence and a choice unread."""
        try:
            return self._enter()
        except BaseException:
            self.close()
            raise

    def _enter(self) -> bool:
        """Read the fence, then the choice: `disable` writes them the other way round, so none slips between."""
        if monotonic() < self._rest_until:
            return False
        here = environment.current()
        if decide(self.home, self._environ).mode == OFF or not is_allowed(here) or kept.has_crossed():
            return self._rest()
        connection = self._connect()
        kept.keep(connection)
        self._connection = connection
        self._run = connection.cursor().execute  # one cursor for all: making one costs 0.5 of 8 µs
        self._epoch, installation = check_head(self._execute(HEAD, ()).fetchone())
        if decide(self.home, self._environ, closed=self._is_closed).mode == OFF:
            return self._rest()
        if self._is_closed():  # and yet the choice is open: a person has changed it by hand since that disable
            self._execute(REOPEN, (self._epoch,))
            self._epoch += 1
        if installation is None:
            self._execute(IDENTIFY, (new_uuid(), today(), self._epoch))
        return self._find_place(tuple(here))

    def _connect(self) -> sqlite3.Connection:
        if is_shared(self.home.spool):
            from deepchecks_telemetry.spool.recovery.second_name import separate

            separate(self.home, DEADLINE_S)
        self._file = identity(self.home.spool)
        if self._file is None:
            create(self.home, FIRST_DEADLINE_S)
            self._file = identity(self.home.spool)
        if abs(time.time() - os.stat(self.home.spool).st_ctime) < FIRST_DEADLINE_S:
            # Just made: a hundred processes may have waited for that moment, and all of them come now.
            self._deadline = monotonic() + FIRST_DEADLINE_S
        self._remote = is_remote(self.home.state)
        if self._remote:
            return self._alone(self._connect_once)
        return patiently(self._connect_once, self._deadline)

    def _connect_once(self) -> sqlite3.Connection:
        self._look_at, self._day = monotonic() + LEASE_S, today()
        self._file = identity(self.home.spool)
        return connect(self.home)

    def _is_closed(self) -> bool:
        return self._epoch % 2 == 1

    def _find_place(self, here: tuple[str, ...]) -> bool:
        for _ in range(2):
            found = self._execute(KNOWN, here).fetchone()
            if found:
                (self._place,) = found
                self._fill_in()
                return True
            self._execute(REGISTER, (*here, self._epoch))
        return False

    def _keep_house(self, last_id: int) -> None:
        """Book what was dropped, and fold now and then; the event is stored by now, so nothing here may fail it."""
        due = last_id % FOLD_EVERY == 0 or last_id >= self._fold_at
        try:
            for reason, count in list(self._dropped.items()):
                self._execute(DROP, (reason, count, self._epoch))
                left = self._dropped.pop(reason) - count  # another thread may have dropped one meanwhile
                if left:
                    self._dropped[reason] = left
            if due and self._connection is not None:
                from deepchecks_telemetry.spool.db.compaction import tidy

                self._fold_at = NEVER if tidy(self.home, self._connection) else last_id + FOLD_AGAIN
        except (SpoolError, OSError, *FAULTS) as error:
            if is_damage(error):
                self._replace_spool()

    def _replace_spool(self) -> bool:
        """Put the damaged spool aside, so that the next record makes a new one."""
        self.close()
        try:
            put_aside(self.home, self._file)
        except (SpoolError, OSError):
            return False
        return True

    def _store_anew(self, number: int) -> bool:
        self.close()
        try:
            return self._store(number, monotonic())
        except (SpoolError, OSError, *FAULTS):
            self._rest()
            return self._drop(FAILED)

    def _drop(self, reason: str) -> bool:
        self._dropped[reason] = self._dropped.get(reason, 0) + 1
        return False

    def _rest(self) -> bool:
        self.close()
        self._rest_until = monotonic() + REST_S
        return False


def is_damage(error: Exception) -> bool:
    """Whether an error tells that the file is broken, or no spool of ours."""
    return isinstance(translate(error) if isinstance(error, FAULTS) else error, Damaged)


def _stamp(path: str) -> tuple[int, ...]:
    """What tells one state of a file from another."""
    try:
        found = os.stat(path)
    except OSError as error:
        return (error.errno or 0,)
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
