"""A spool appears complete or not at all: it is built under a temporary name, under the file lock, and then renamed."""

import os
import sqlite3

from deepchecks_telemetry.spool.db.busy import monotonic, pause
from deepchecks_telemetry.spool.db.origin import find_origin, store_origin
from deepchecks_telemetry.spool.db.schema import APPLICATION_ID, SCHEMA_VERSION, TABLES
from deepchecks_telemetry.spool.errors import Busy, Unusable, raise_if_hosts
from deepchecks_telemetry.spool.files.directory import check_state_dir, is_remote, make_directory
from deepchecks_telemetry.spool.files.lock import hold_in_host
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.quarantine import remove_orphan_wal
from deepchecks_telemetry.spool.files.regular import exists, remove_database

PAGE_BYTES = 512
MAX_TRIES = 500  # some 2 s, in case the clock stands still


def create(home: Home, timeout_s: float) -> None:
    """Create the directory and the spool if they are missing; one of many processes does it, the others wait for it."""
    deadline = monotonic() + timeout_s
    try:
        make_directory(home.state)
        check_state_dir(home)
    except OSError as error:
        raise_if_hosts(error)
        raise Unusable(f"the state directory cannot be created ({type(error).__name__})") from error
    # A hundred processes that each wait for the lock exceed any deadline, and once the spool exists none needs it.
    for tried in range(MAX_TRIES):
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
    # Under a temporary name until it is complete, because `PRAGMA journal_mode=WAL` by several processes at the same
    # time fails with "database is locked" in 1 of 10 whatever the timeout. No fsync, because an empty spool is no loss
    # after a power cut.
    temporary = home.spool + ".new"
    try:
        remove_orphan_wal(home)
        remove_database(temporary)
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        os.chmod(temporary, 0o600)  # with a umask of 0777 the owner could not open the file again
        connection = sqlite3.connect(temporary, isolation_level=None)
        try:
            connection.executescript(
                f"PRAGMA page_size = {PAGE_BYTES}; PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY; "
                "BEGIN IMMEDIATE;"
                f"{TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
            )
            store_origin(connection, find_origin(temporary))
            connection.execute("COMMIT")
            # Last, so that no -journal, -wal or -shm file is made and removed: on ext4 without a journal, mounted with
            # `discard`, each removal waits until the device has discarded the blocks (up to 156 ms seen).
            journal = "DELETE" if is_remote(home.state) else "WAL"
            connection.execute(f"PRAGMA journal_mode = {journal}").fetchall()
        finally:
            connection.close()
        os.rename(temporary, home.spool)
    except (OSError, sqlite3.Error) as error:
        raise_if_hosts(error)
        raise Unusable(f"the spool cannot be created ({type(error).__name__})") from error
