"""The spool is created whole under a temporary name, under the file lock, and then renamed."""

import os
import sqlite3

from deepchecks_telemetry.spool.db.busy import monotonic, pause
from deepchecks_telemetry.spool.db.origin import find_origin, note_origin
from deepchecks_telemetry.spool.db.schema import APPLICATION_ID, SCHEMA_VERSION, TABLES
from deepchecks_telemetry.spool.errors import Busy, Unusable, raise_if_hosts
from deepchecks_telemetry.spool.files.directory import check_state_dir, is_remote, make_directory
from deepchecks_telemetry.spool.files.lock import hold_in_host
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.quarantine import remove_orphan_wal
from deepchecks_telemetry.spool.files.regular import exists, remove_database

PAGE_BYTES = 512
MANY_TRIES = 500  # some 2 s, where the clock stands still


def create(home: Home, timeout_s: float) -> None:
    """Create directory and spool if they are missing; of many processes one does it, the others find it done."""
    deadline = monotonic() + timeout_s
    try:
        make_directory(home.state)
        check_state_dir(home)
    except OSError as error:
        raise_if_hosts(error)
        raise Unusable(f"the state directory cannot be created ({type(error).__name__})") from error
    # A hundred that each wait for their turn outlast any deadline; once the spool is there, none needs the lock.
    for tried in range(MANY_TRIES):
        if exists(home.spool) or _build_under_lock(home):
            return
        if monotonic() >= deadline:
            break
        pause(tried)
    raise Busy("another process holds the spool's lock")


def _build_under_lock(home: Home) -> bool:
    try:
        with hold_in_host(home.lock):
            if not exists(home.spool):
                _build(home)
            return True
    except Busy:
        return False


def _build(home: Home) -> None:
    # Under a temporary name until it is whole: `PRAGMA journal_mode=WAL` by several processes at once fails with
    # "database is locked" in 1 of 10 whatever the timeout. No fsync: an empty spool is no loss after a power cut.
    temporary = home.spool + ".new"
    try:
        remove_orphan_wal(home)
        remove_database(temporary)
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        os.chmod(temporary, 0o600)  # a umask of 0777 leaves a file that its owner cannot open again
        connection = sqlite3.connect(temporary, isolation_level=None)
        try:
            connection.executescript(
                f"PRAGMA page_size = {PAGE_BYTES}; PRAGMA synchronous = OFF; "
                f"PRAGMA journal_mode = {_journal(home)}; BEGIN IMMEDIATE;"
                f"{TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
            )
            note_origin(connection, find_origin(temporary))
            connection.execute("COMMIT")
        finally:
            connection.close()
        os.rename(temporary, home.spool)
    except (OSError, sqlite3.Error) as error:
        raise_if_hosts(error)
        raise Unusable(f"the spool cannot be created ({type(error).__name__})") from error


def _journal(home: Home) -> str:
    return "DELETE" if is_remote(home.state) else "WAL"
