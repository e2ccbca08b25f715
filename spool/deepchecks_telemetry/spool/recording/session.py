"""A session is an open connection with the values read through it; it is opened completely or not at all."""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from uuid import uuid4

from deepchecks_telemetry.spool.catalogue import is_allowed
from deepchecks_telemetry.spool.consent import resource
from deepchecks_telemetry.spool.consent.decision import OFF, decide
from deepchecks_telemetry.spool.db.busy import HOST_TRIES, retry_while_busy
from deepchecks_telemetry.spool.db.connection import connect
from deepchecks_telemetry.spool.db.origin import settle_origin
from deepchecks_telemetry.spool.db.schema import ENVIRONMENT_COLUMNS, SELECT_STATE, parse_state
from deepchecks_telemetry.spool.files.directory import is_remote
from deepchecks_telemetry.spool.files.lock import hold_in_host
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.regular import file_id
from deepchecks_telemetry.spool.recording import connections, descriptors
from deepchecks_telemetry.spool.recording.descriptors import Descriptors
from deepchecks_telemetry.spool.recording.watch import today

# The day, the environment and the fence are in the text, because they seldom change and binding them costs 0.3 of 8 µs.
APPEND = "INSERT INTO events (day, event, environment) SELECT %d, ?, %d FROM spool WHERE epoch = %d"
SET_INSTALLATION = "UPDATE spool SET installation = ?, installed_day = ? WHERE installation IS NULL AND epoch = ?"
OPEN_FENCE = "UPDATE spool SET epoch = epoch + 1 WHERE epoch = ?"
SELECT_ENVIRONMENT = f"SELECT id FROM environments WHERE ({ENVIRONMENT_COLUMNS}) = (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
INSERT_ENVIRONMENT = (
    f"INSERT OR IGNORE INTO environments ({ENVIRONMENT_COLUMNS}) SELECT ?, ?, ?, ?, ?, ?, ? FROM spool WHERE epoch = ?"  # noqa: S608
)


class Connection:
    """An open connection with its descriptors, its file and one cursor (creating a cursor costs 0.5 of 8 µs).

    `lock` is the file lock that each statement needs on a network file system, where SQLite's own locks do not work
    reliably between machines. Never changed; as frozen dataclasses, the two classes were a fifth of attach and the
    first record.
    """

    __slots__ = ("cursor", "descriptors", "file", "lock", "raw")

    def __init__(
        self,
        raw: sqlite3.Connection,
        cursor: sqlite3.Cursor,
        descriptors: Descriptors,
        file: tuple[int, int] | None,
        lock: str | None,
    ) -> None:
        self.raw, self.cursor, self.descriptors, self.file, self.lock = raw, cursor, descriptors, file, lock

    def execute(self, statement: str, values: tuple[object, ...], deadline: float) -> sqlite3.Cursor:
        """Execute one statement in a transaction of its own; raise `Busy` at `deadline` (of `monotonic`)."""

        def act() -> sqlite3.Cursor:
            with nullcontext() if self.lock is None else hold_in_host(self.lock):
                return self.cursor.execute(statement, values)

        return retry_while_busy(act, deadline, tries=HOST_TRIES)

    def close(self) -> bool:
        """Close it without touching the spool; False if that is impossible (see `descriptors.close`)."""
        if not descriptors.close(self.raw, self.cursor, self.descriptors):
            return False
        connections.forget(self.raw)
        return True


class Session(Connection):
    """A connection, and the values read through it: the fence and the id of this process's environment."""

    __slots__ = ("environment_id", "epoch")

    def __init__(self, opened: Connection, epoch: int, environment_id: int) -> None:
        super().__init__(opened.raw, opened.cursor, opened.descriptors, opened.file, opened.lock)
        self.epoch, self.environment_id = epoch, environment_id

    def append_on(self, day: int) -> str:
        """The statement that appends one event of that day."""
        return APPEND % (day, self.environment_id, self.epoch)


def open_connection(home: Home, deadline: float, adopt: Callable[[Connection], None]) -> Connection:
    """Connect to an existing spool, and mark its descriptors; raises the spool's errors.

    `adopt` gets the connection before anything else can fail, so that it is always closed in the end.
    """
    lock = home.lock if is_remote(home.state) else None

    def act() -> Connection:
        with nullcontext() if lock is None else hold_in_host(lock):
            return _connect(home, lock, adopt)

    return retry_while_busy(act, deadline, tries=HOST_TRIES)


def _connect(home: Home, lock: str | None, adopt: Callable[[Connection], None]) -> Connection:
    connections.close_leftovers()
    file, before = file_id(home.spool), descriptors.open_numbers()
    try:
        with descriptors.high_numbers():
            raw = connect(home, factory=connections.Connection)
        connection = Connection(raw, raw.cursor(), descriptors.mark(home.spool, before), file, lock)
        adopt(connection)
    except BaseException:
        connections.close_leftovers()
        raise
    return connection


def open_session(
    connection: Connection, home: Home, environ: Mapping[str, str], deadline: float, *, reopen: bool
) -> Session | None:
    """Read the fence, then the choice, and register this environment; None if recording is off.

    The order matters: `disable` writes the choice first and the fence second, so a process that reads the new fence
    also reads the new choice, and the statement of one that read the old fence stores nothing.
    """
    environment = resource.current()
    settle_origin(connection.raw, home.spool, deadline, tries=HOST_TRIES)
    epoch, installation = parse_state(connection.execute(SELECT_STATE, (), deadline).fetchone())
    closed = epoch % 2 == 1
    if (
        decide(home, environ, closed=lambda: closed).mode == OFF
        or not is_allowed(environment)
        or (closed and not reopen)
    ):
        return None
    if closed:  # but the choice is not off, so a person has changed it by hand after that `disable`
        connection.execute(OPEN_FENCE, (epoch,), deadline)
        epoch += 1
    if installation is None:
        connection.execute(SET_INSTALLATION, (str(uuid4()), today(), epoch), deadline)
    for _ in range(2):
        row = connection.execute(SELECT_ENVIRONMENT, tuple(environment), deadline).fetchone()
        if row:
            return Session(connection, epoch, row[0])
        connection.execute(INSERT_ENVIRONMENT, (*environment, epoch), deadline)
    return None  # the fence has changed meanwhile
