"""An event whose append returned True survives SIGKILL; after `disable` no append stores anything.

Each event is one SQL statement, in a write transaction of its own, that compares the fence with the one this process
has read. So it stores nothing once `disable` has closed the fence, whatever this process had read before.
"""

import os
import sqlite3
from collections.abc import Callable, Mapping
from os import SEEK_CUR, lseek
from typing import TypeVar

from deepchecks_telemetry.spool.consent.decision import OFF, decide
from deepchecks_telemetry.spool.db.busy import HOST_TRIES, monotonic, retry_while_busy
from deepchecks_telemetry.spool.db.compaction import compact
from deepchecks_telemetry.spool.db.sqlite_errors import FAULTS, is_busy, is_damage
from deepchecks_telemetry.spool.errors import Busy, SpoolError, raise_if_hosts
from deepchecks_telemetry.spool.files.lock import hold_in_host
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.quarantine import quarantine, set_aside
from deepchecks_telemetry.spool.files.regular import exists, file_id, is_hard_linked_database
from deepchecks_telemetry.spool.recording.process import Process
from deepchecks_telemetry.spool.recording.session import Connection, Session, open_connection, open_session
from deepchecks_telemetry.spool.recording.watch import NOTHING, SETTINGS, Watch

DEADLINE_S = 0.08  # the longest wait of one record for other processes
FIRST_DEADLINE_S = 2.0  # the same if the spool must be created first, perhaps by a hundred processes at the same time
BACKOFF_S = 1.0  # how long records do not wait after a timeout, and how long a spool that failed is not opened again
SLOW_SHARE = 10  # on a slow network file system records may take a tenth of the host's time
# Events; the WAL has 1.4 MB then. Two records wait for fsyncs: the one that checkpoints, and the next, which begins the
# WAL again with a new header. So fewer than one of a thousand do.
COMPACT_EVERY = 2500
COMPACT_AGAIN = 200  # events until the next try, if other processes prevented the last one
NEVER = 2**63
NO_DAY = -1

DROP = """INSERT INTO tallies (name, count) SELECT 'dropped:' || ?, ? FROM spool WHERE epoch = ?
ON CONFLICT DO UPDATE SET count = count + excluded.count"""
BUSY, FAILED = "busy", "failed"  # reasons of drops: a lock was held too long; the spool could not be written

Result = TypeVar("Result")
Execute = Callable[[str, tuple[object, ...]], sqlite3.Cursor]


class Writer:
    """Appends the events of one process to the spool of `home`; the caller of every method holds the guard."""

    def __init__(self, home: Home, process: Process, environ: Mapping[str, str] = os.environ) -> None:
        self.home = home
        self._process, self._environ = process, environ
        self._watch = Watch(home)
        self._session: Session | None = None
        self._closing: Connection | None = None  # a connection without a session: being opened, or not yet closed
        self._statement, self._day = "", NO_DAY  # the session's statement, valid for one day
        self._compact_at = NEVER  # an id
        self._no_wait_until = self._long_wait_until = self._slow_until = self._retry_at = 0.0
        self.dropped: dict[str, int] = {}  # events that could not be stored, by reason, until the counts are written

    def append(self, number: int) -> bool:
        """Store one event; True if it is stored and survives this process, False if it is not stored."""
        now = monotonic()
        try:
            return self._store(number, now)
        except Busy:
            self._no_wait_until = monotonic() + BACKOFF_S
            return self.drop(BUSY)
        except (SpoolError, OSError, *FAULTS) as error:
            raise_if_hosts(error)
            if self._is_replaced(error):
                return self._store_again(number, now)
            self._back_off()
            return self.drop(FAILED)

    def access(self, act: Callable[[Execute], Result]) -> Result | None:
        """Run `act(execute)` on the open session; None if there is no session, or if a statement failed."""
        now = monotonic()
        try:
            self._refresh(now)
            session = self._session or self._open(now, create_spool=False)
            if session is None:
                return None
            deadline = self._deadline(now)
            return act(lambda statement, values: session.execute(statement, values, deadline))
        except (SpoolError, OSError, *FAULTS) as error:
            raise_if_hosts(error)
            return None

    def drop(self, reason: str) -> bool:
        """Count an event that could not be stored; the count is written with the next event that can be."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        return False

    def close(self) -> bool:
        """Discard the session; False if it must stay open. If an exception interrupts it, it is called again."""
        self._closing = self._session or self._closing
        self._session = None
        closed = self._closing is None or self._closing.close()
        self._closing = None
        return closed

    def _store(self, number: int, now: float) -> bool:
        """Append. Each event pays for every call in here: one more costs 0.1 of 10 µs."""
        if self._session is None or now >= self._watch.next_check:
            self._refresh(now)
        for _ in (1, 2, 3):  # `range` would cost 0.06 µs
            session = self._session or self._open(now)
            if session is None:
                return False
            # Check the WAL and the shared memory, which an append writes; `_refresh` checks all three. A transaction is
            # open if an exception from a signal handler interrupted one.
            files = session.descriptors
            wal, shm, mark = files.wal, files.shm, files.mark
            if lseek(wal, 0, SEEK_CUR) == lseek(shm, 0, SEEK_CUR) == mark and not session.raw.in_transaction:
                try:
                    stored = session.cursor.execute(self._statement, (number,)) if session.lock is None else None
                except sqlite3.OperationalError as error:
                    if not is_busy(error):
                        raise
                    stored = None
                stored = stored or self._wait(session, number, now)
                if stored.rowcount == 1:
                    last_id = stored.lastrowid or 0
                    if last_id % COMPACT_EVERY == 0 or last_id >= self._compact_at or self.dropped:
                        self._maintain(session, last_id)
                    return monotonic() < self._watch.next_check or self._is_current_file(session)
            self._discard()  # the host has closed SQLite's files, or the fence has changed, so the session is stale
        return False

    def _wait(self, session: Session, number: int, now: float) -> sqlite3.Cursor:
        """Append under the file lock, or wait for a process that has the write lock."""
        if now < self._slow_until:
            raise Busy("the network file system is slow")
        began = monotonic()
        stored = session.execute(self._statement, (number,), self._deadline(now))
        took_s = monotonic() - began
        if session.lock is not None and took_s > DEADLINE_S:
            self._slow_until = began + SLOW_SHARE * took_s
        return stored

    def _is_current_file(self, session: Session) -> bool:
        """Whether the session's file is still the spool; after `LEASE_S` it may have been quarantined."""
        return file_id(self.home.spool) == session.file

    def _has_lost_files(self) -> bool:
        """Whether the host has closed one of SQLite's files."""
        return self._session is not None and not self._session.descriptors.are_ours()

    def _deadline(self, now: float) -> float:
        return now if now < self._no_wait_until else max(now + DEADLINE_S, self._long_wait_until)

    def _refresh(self, now: float) -> None:
        change = self._watch.check(now, self._session.file if self._session else None)
        if change == SETTINGS:
            self._retry_at = 0.0
        if change != NOTHING or self._has_lost_files():
            self._discard()
        session = self._session
        if session is not None:
            self._prepare_statement(session)
            if self._watch.throttle() and self._compact_at == NEVER:
                self._compact_at = 0

    def _prepare_statement(self, session: Session) -> None:
        if self._day != self._watch.day:
            self._day = self._watch.day
            self._statement = session.append_on(self._day)

    def _open(self, now: float, *, create_spool: bool = True) -> Session | None:
        """Open a session, and create the spool if necessary; None if recording is off or backs off."""
        if self._process.is_spool_lost or now < self._retry_at or not (create_spool or exists(self.home.spool)):
            return None
        if decide(self.home, self._environ).mode == OFF:  # then nothing is created, not even a directory
            self._back_off()
            return None
        if is_hard_linked_database(self.home.spool):  # a backup by hard links
            retry_while_busy(self._set_aside, now + DEADLINE_S, tries=HOST_TRIES)
        if not exists(self.home.spool):
            self._long_wait_until = now + FIRST_DEADLINE_S
            from deepchecks_telemetry.spool.db.create import create

            create(self.home, FIRST_DEADLINE_S)
        deadline = self._deadline(now)
        self._process.set_owner(self)
        connection = open_connection(self.home, deadline, self._adopt)
        session = open_session(connection, self.home, self._environ, deadline, reopen=create_spool)
        if session is None:
            self._back_off()
            return None
        self._session, self._day = session, NO_DAY
        self._closing = None
        self._prepare_statement(session)
        return session

    def _adopt(self, connection: Connection) -> None:
        self._closing = connection

    def _maintain(self, session: Session, last_id: int) -> None:
        """Write the counts of drops, and compact if it is due; the event is stored already, so errors are ignored."""
        try:
            self._write_drops(session)
            due = last_id % COMPACT_EVERY == 0 or last_id >= self._compact_at
            if due and session.descriptors.are_ours():  # a checkpoint writes into the database itself
                self._compact_at = NEVER if compact(self.home, session.raw) else last_id + COMPACT_AGAIN
        except (SpoolError, OSError, *FAULTS) as error:
            raise_if_hosts(error)
            self._is_replaced(error)

    def _write_drops(self, session: Session) -> None:
        for reason, count in list(self.dropped.items()):
            session.execute(DROP, (reason, count, session.epoch), self._deadline(monotonic()))
            remaining = self.dropped.pop(reason) - count  # another thread may have dropped one meanwhile
            if remaining:
                self.dropped[reason] = remaining

    def _is_replaced(self, error: Exception) -> bool:
        """Whether to open the spool again: the host has closed SQLite's files, or the failed spool was quarantined."""
        if self._has_lost_files():
            return True  # SQLite may have read a file of the host
        file = self._session.file if self._session else file_id(self.home.spool)
        if isinstance(error, FileNotFoundError) or file_id(self.home.spool) != file:
            return True
        if not is_damage(error):
            return False
        self._discard()
        try:
            retry_while_busy(lambda: self._quarantine(file), monotonic() + DEADLINE_S, tries=HOST_TRIES)
        except (SpoolError, OSError) as error:
            raise_if_hosts(error)
            return False
        return True

    def _quarantine(self, file: tuple[int, int] | None) -> None:
        with hold_in_host(self.home.lock):
            quarantine(self.home, file)

    def _set_aside(self) -> None:
        with hold_in_host(self.home.lock):
            set_aside(self.home)

    def _store_again(self, number: int, now: float) -> bool:
        self._discard()
        try:
            return self._store(number, now)
        except (SpoolError, OSError, *FAULTS) as error:
            raise_if_hosts(error)
            self._back_off()
            return self.drop(FAILED)

    def _discard(self) -> None:
        if self._session is not None or self._closing is not None:
            self._process.close()

    def _back_off(self) -> None:
        self._discard()
        self._retry_at = monotonic() + BACKOFF_S
