"""A spool is only opened after its files, its schema and its version have been checked."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext

from deepchecks_telemetry.spool.db.schema import (
    APPLICATION_ID,
    BREAKING,
    MAX_SPOOL_BYTES,
    SCHEMA_VERSION,
    SELECT_STATE,
    STATEMENTS,
    parse_state,
)
from deepchecks_telemetry.spool.db.schema_guard import COMMAND_VM_STEPS, HOST_VM_STEPS, check_shape, limit_vm_steps
from deepchecks_telemetry.spool.db.sqlite_errors import FAULTS, translate
from deepchecks_telemetry.spool.errors import Busy, Damaged, Outdated, Unusable
from deepchecks_telemetry.spool.files.directory import check_state_dir, is_remote
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.quarantine import quarantine
from deepchecks_telemetry.spool.files.regular import (
    file_id,
    is_hard_linked,
    is_plain,
    is_plain_database,
    leads_elsewhere,
)

BUSY_TIMEOUT_S = 5.0


@contextmanager
def opened(home: Home, *, locked: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection for a command or the uploader, closed at the end; SQLite's errors are raised as the spool's own.

    A damaged spool is quarantined before `Damaged` is raised. `locked` says that the caller holds the file lock, which
    every access needs on a network file system.
    """
    file = file_id(home.spool)
    lock = nullcontext() if locked or file is None or not is_remote(home.state) else hold(home.lock, BUSY_TIMEOUT_S)
    try:
        with lock, closing(connect(home, timeout_s=BUSY_TIMEOUT_S)) as connection:
            limit_vm_steps(connection, COMMAND_VM_STEPS)
            parse_state(connection.execute(SELECT_STATE).fetchone())
            yield connection
    except (*FAULTS, Damaged) as error:
        reason = translate(error) if isinstance(error, FAULTS) else error
        if isinstance(reason, Damaged):
            with nullcontext() if locked else hold(home.lock, BUSY_TIMEOUT_S):
                quarantine(home, file)
        raise reason from error


def connect(
    home: Home, *, timeout_s: float = 0.0, factory: type[sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    """Open the existing spool in autocommit; raise `FileNotFoundError`, `Unusable`, `Busy`, `Outdated` or `Damaged`.

    `timeout_s` is for SQLite's own busy handler, whose tail is 5 to 15 times worse than our waits; 0 in the host.
    On a network file system the caller holds the file lock, here and for every statement.
    """
    check_state_dir(home)
    before = os.lstat(home.spool)
    if not is_plain(home.spool):  # hard links corrupt like symbolic ones: sqlite.org/howtocorrupt.html, 2.5 and 2.6
        raise Unusable(_explain_not_plain(home.spool))
    if not is_plain_database(home.spool):
        raise Unusable("a file beside the spool is a link or not a regular file")
    if leads_elsewhere(home.spool):
        raise Damaged("the spool's journal names another file")
    if before.st_size == 0:  # SQLite would delete its WAL, with what other processes have just written there
        raise Damaged("the spool file is empty")
    if before.st_size > MAX_SPOOL_BYTES:
        raise Damaged("the spool file is too large to be a spool")
    try:
        connection = sqlite3.connect(
            _uri(home.spool),
            uri=True,
            isolation_level=None,
            timeout=timeout_s,
            check_same_thread=False,
            factory=factory,
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


def _explain_not_plain(path: str) -> str:
    if is_hard_linked(path):
        return f"{path} has a second hard link; any deepchecks telemetry command moves it to a file of its own"
    return f"{path} is a link, is not a regular file, or belongs to another user"


def _check_unmoved(home: Home, before: os.stat_result) -> None:
    """Raise `Busy` if the spool was replaced while it was being opened.

    SQLite may then have opened the old database with the WAL of the new one, and a write would mix the two.
    """
    if file_id(home.spool) != (before.st_dev, before.st_ino):
        raise Busy("the spool was replaced a moment ago")


def _configure(connection: sqlite3.Connection, home: Home) -> None:
    # wal_autocheckpoint: with automatic checkpoints the p99 of an append is 2 ms, and two simultaneous ones can trigger
    # SQLite's WAL-reset bug (3.7.0 to 3.51.2). trusted_schema: a spool that was edited by hand cannot call functions.
    limit_vm_steps(connection, HOST_VM_STEPS)
    for pragma in ("synchronous = NORMAL", "wal_autocheckpoint = 0", "trusted_schema = OFF"):
        connection.execute(f"PRAGMA {pragma}")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise Damaged("the spool file is not a spool")
    if version // BREAKING != SCHEMA_VERSION // BREAKING:
        raise Outdated(
            f"the spool has schema version {version}, which this package (schema version {SCHEMA_VERSION}) cannot read"
        )
    check_shape(connection, STATEMENTS)
    if is_remote(home.state):
        connection.execute("PRAGMA journal_mode = DELETE")  # it may have been created on a local disk, and moved


def _uri(path: str) -> str:
    # mode=rw makes a missing file an error, instead of creating an empty database.
    quoted = os.path.abspath(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    if os.name == "nt":
        quoted = quoted.replace("\\", "/")  # C:/spool.db or //server/share/spool.db
    return f"file://{'' if quoted.startswith('/') else '/'}{quoted}?mode=rw"
