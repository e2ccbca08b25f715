"""The spool's file: created whole under a temporary name, opened with the settings that everything else relies on."""

import os
import sqlite3
import time

from deepchecks_telemetry.spool.db.schema_guard import FEW_STEPS, bound, check_shape
from deepchecks_telemetry.spool.errors import Busy, Damaged, Outdated, Unusable
from deepchecks_telemetry.spool.files.directory import check_ground, is_remote, make_folder
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.quarantine import identity, reunite
from deepchecks_telemetry.spool.files.regular import clear, is_plain, is_plain_database, leads_elsewhere

# PRAGMA user_version is 1000 × a change that older clients cannot live with + additions that they need not know.
BREAKING = 1000
VERSION = 1003
LARGEST = 2**26  # bytes; a spool stays within 2 MB, so more than this is somebody else's file
YOUNG_S = 0.5  # a state folder so young is being filled by the process that made it
LONGEST_S = 0.001
TURN_S = 0.02  # how long creating waits for the lock before it looks again whether it is still needed
APPLICATION_ID = 0x64637470  # "dctp", for file(1) and for us: any other database is put aside, never written

# `spool.epoch` is the fence: even is open, odd is closed, and it only ever grows, so that whoever has read an older
# number can no longer write. `events` keeps one row with event 0 after folding: the next id goes on from it, and the
# largest id is a count of all that was recorded which no later step touches. `retry_after` has a row for each receiver
# that asked for a pause: `spool.retry_after`, which named no receiver, is no longer used.
# What a batch can be: waiting to be sent, refused for now, carried away in a file, or done.
SEALED, PARKED, EXPORTED, DELIVERED, REJECTED = "sealed", "parked", "exported", "delivered", "rejected"
STATES = (SEALED, PARKED, EXPORTED, DELIVERED, REJECTED)
FINAL = (DELIVERED, REJECTED)
PLACE = "deepchecks_version, os_type, os_name, os_version, python_name, python_version, runtime"
TABLES = """
CREATE TABLE spool (
  id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL, installation TEXT, installed_day INTEGER,
  next_upload INTEGER, retry_after INTEGER, failures INTEGER NOT NULL DEFAULT 0, endpoint TEXT
);
CREATE TABLE environments (
  id INTEGER PRIMARY KEY, deepchecks_version TEXT NOT NULL, os_type TEXT NOT NULL, os_name TEXT NOT NULL,
  os_version TEXT NOT NULL, python_name TEXT NOT NULL, python_version TEXT NOT NULL, runtime TEXT NOT NULL,
  UNIQUE (deepchecks_version, os_type, os_name, os_version, python_name, python_version, runtime)
);
CREATE TABLE events (
  id INTEGER PRIMARY KEY, day INTEGER NOT NULL, event INTEGER NOT NULL, environment INTEGER NOT NULL
);
CREATE TABLE folded (
  day INTEGER, event INTEGER, environment INTEGER, count INTEGER NOT NULL, PRIMARY KEY (day, event, environment)
) WITHOUT ROWID;
CREATE TABLE batches (
  id INTEGER PRIMARY KEY, state TEXT NOT NULL, sealed_at INTEGER NOT NULL, rows INTEGER NOT NULL,
  events INTEGER NOT NULL, rejected INTEGER NOT NULL DEFAULT 0, packed BLOB, sha256 TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0, tried_at INTEGER, outcome TEXT, endpoint TEXT
);
CREATE TABLE rows (
  uid TEXT PRIMARY KEY, batch INTEGER NOT NULL, day INTEGER NOT NULL, event INTEGER NOT NULL,
  environment INTEGER NOT NULL, count INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE tallies (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE salvaged (name TEXT PRIMARY KEY, at INTEGER NOT NULL, saved INTEGER NOT NULL, lost INTEGER NOT NULL);
CREATE TABLE exports (
  batch INTEGER NOT NULL, path TEXT NOT NULL, part TEXT NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (batch, path)
);
CREATE TABLE retry_after (host TEXT PRIMARY KEY, until INTEGER NOT NULL);
INSERT INTO spool (id, epoch) VALUES (1, 0);
"""
KNOWN = [statement.strip() for statement in TABLES.split(";") if "CREATE" in statement]


def create(home: Home, timeout_s: float) -> None:
    """Create folder and spool if they are missing; of many processes one does it, the others find it done."""
    from deepchecks_telemetry.spool.files.lock import hold

    deadline = time.monotonic() + timeout_s
    try:
        first = make_folder(home.state)
        check_ground(home)
        if not first and abs(time.time() - os.stat(home.state).st_ctime) < YOUNG_S:
            _await(home.spool, min(deadline, time.monotonic() + YOUNG_S))
    except OSError as error:
        raise Unusable(f"the state folder cannot be made ({type(error).__name__})") from error
    # A hundred that each wait for their turn outlast any deadline; once the spool is there, none needs the lock.
    while not os.path.lexists(home.spool):
        try:
            with hold(home.lock, TURN_S):
                if not os.path.lexists(home.spool):
                    _build(home)
        except Busy:
            pass
        if time.monotonic() >= deadline and not os.path.lexists(home.spool):
            raise Busy("another process holds the lock of the spool")


def _await(path: str, deadline: float) -> None:
    """Whoever made the folder is making the spool: to wait here spares a hundred processes the import of filelock."""
    while not os.path.lexists(path) and time.monotonic() < deadline:
        time.sleep(LONGEST_S)


def _build(home: Home) -> None:
    # Under a temporary name until it is whole: `PRAGMA journal_mode=WAL` by several processes at once fails with
    # "database is locked" in 1 of 10 whatever the timeout. No fsync: an empty spool is no loss after a power cut.
    temporary = home.spool + ".new"
    try:
        reunite(home)
        clear(temporary)
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection = sqlite3.connect(temporary, isolation_level=None)
        try:
            connection.executescript(
                "PRAGMA page_size = 1024; PRAGMA synchronous = OFF; "
                f"PRAGMA journal_mode = {_journal(home)}; BEGIN IMMEDIATE;"
                f"{TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT;"
            )
        finally:
            connection.close()
        os.rename(temporary, home.spool)
    except (OSError, sqlite3.Error) as error:
        raise Unusable(f"the spool cannot be made ({type(error).__name__})") from error


def _journal(home: Home) -> str:
    return "DELETE" if is_remote(home.state) else "WAL"


def connect(home: Home, *, timeout_s: float = 0.0) -> sqlite3.Connection:
    """Open the existing spool in autocommit; raise `FileNotFoundError`, `Unusable`, `Busy`, `Outdated` or `Damaged`.

    `timeout_s` is SQLite's own busy handler: 0 in the host, where it makes the tail 5 to 15 times worse than our waits.
    On a network file system the caller holds the file lock, here and for every statement.
    """
    check_ground(home)
    before = os.lstat(home.spool)
    if not is_plain(home.spool):  # a second name is a link too: sqlite.org/howtocorrupt.html, 2.5 and 2.6
        raise Unusable("the spool is a link or no file")
    if not is_plain_database(home.spool):
        raise Unusable("a file beside the spool is a link or no file")
    if leads_elsewhere(home.spool):
        raise Damaged("the spool's journal names another file")
    if before.st_size == 0:  # SQLite would take its WAL away, with what others have just put there
        raise Damaged("the spool's file is empty")
    if before.st_size > LARGEST:
        raise Damaged("the spool's file is too large to be one of ours")
    try:
        connection = sqlite3.connect(
            _uri(home.spool), uri=True, isolation_level=None, timeout=timeout_s, check_same_thread=False
        )
        try:
            _configure(connection, home)
            _check_unmoved(home, before)
        except BaseException:
            connection.close()
            raise
    except FAULTS as error:
        raise translate(error) from error
    return connection


def _check_unmoved(home: Home, before: os.stat_result) -> None:
    """Put aside between two steps of SQLite's, it may have the new one's WAL beside it: a write would mix the two."""
    if identity(home.spool) != (before.st_dev, before.st_ino):
        raise Busy("the spool was replaced a moment ago")


def _configure(connection: sqlite3.Connection, home: Home) -> None:
    # wal_autocheckpoint: with automatic checkpoints the p99 of an append is 2 ms, and two at once can meet SQLite's
    # WAL-reset bug (3.7.0 to 3.51.2). trusted_schema: a spool that was edited by hand runs no function of ours.
    bound(connection, FEW_STEPS)
    for pragma in ("synchronous = NORMAL", "wal_autocheckpoint = 0", "trusted_schema = OFF"):
        connection.execute(f"PRAGMA {pragma}")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise Damaged("the spool's file is no spool of ours")
    if version // BREAKING != VERSION // BREAKING:
        raise Outdated(f"the spool is of version {version}, which this package (version {VERSION}) cannot read")
    check_shape(connection, KNOWN)
    if is_remote(home.state):
        connection.execute("PRAGMA journal_mode = DELETE")  # it may have been made on a local disk, and moved


def _uri(path: str) -> str:
    # mode=rw: a missing file is an error, not a new empty database.
    quoted = os.path.abspath(path).replace("\\", "/").replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return f"file:{'' if quoted.startswith('/') else '/'}{quoted}?mode=rw"


BROKEN = (
    *("malformed", "not a database", "no such table", "no such column", "could not decode", "codec can't decode"),
    "interrupted",  # by bound()
)
FAULTS = (sqlite3.Error, UnicodeDecodeError)  # the latter where SQLite's own message quotes a broken schema
IOERR_READ = 266
UNREADABLE = (
    IOERR_READ,
    522,
    8202,
    8458,
)  # and a short read, wrong data, a broken file system: sqlite.org/rescode.html
HEAD = "SELECT epoch, installation FROM spool"


def check_head(row: tuple[object, ...] | None) -> tuple[int, str | None]:
    """The fence and the installation id out of what `HEAD` gave; `Damaged` where that is not what we wrote."""
    if row is None or not isinstance(row[0], int) or not isinstance(row[1], str | None):
        raise Damaged("the spool's file has lost its first row")
    return row[0], row[1]


def translate(error: Exception) -> Busy | Damaged | Unusable:
    """Our name for an error of SQLite; its text is told by class only, because it can hold a path."""
    text = str(error).lower()
    if is_busy(error):
        return Busy("the spool is locked by another process")
    corrupt = type(error) is sqlite3.DatabaseError  # itself, none of its kinds: the file is corrupt or no database
    if corrupt or any(sign in text for sign in BROKEN) or (text == "disk i/o error" and _is_unreadable(error)):
        return Damaged("the spool's file is damaged or no spool of ours")
    return Unusable(f"the spool cannot be used ({type(error).__name__})")


def _is_unreadable(error: Exception) -> bool:
    """Whether a page is missing or cannot be read, and not only written; before Python 3.11 nobody tells."""
    return getattr(error, "sqlite_errorcode", IOERR_READ) in UNREADABLE


def is_busy(error: Exception) -> bool:
    """Whether somebody else's lock is the reason (`sqlite_errorcode` is not there before Python 3.11)."""
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
