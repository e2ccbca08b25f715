"""After a backup by hard links (`cp -al`) the spool is moved to a file of its own, and the backup stays unchanged.

At most `LEASE_S` before it acknowledges a record, each host checks that its file is still at the spool's path. So two
leases after the old file was renamed nothing more is acknowledged in it, and all of it can be copied. A host only
renames the file and creates a new spool; the next command copies it back, also after a crash half-way.
"""

import os
import shutil
import sqlite3
import time
from contextlib import closing

from deepchecks_telemetry.spool.db.origin import find_origin, is_copy, store_origin
from deepchecks_telemetry.spool.db.sqlite_errors import FAULTS
from deepchecks_telemetry.spool.errors import Damaged
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.quarantine import (
    LEASE_S,
    find_set_aside,
    remove_orphan_wal,
    rename_database,
    set_aside,
)
from deepchecks_telemetry.spool.files.regular import leads_elsewhere, remove_database

COPIED_SUFFIXES = ("-wal", "-journal", "")  # the database last, because then the copy counts as complete


def separate(home: Home, lock_s: float) -> None:
    """Give the spool files of its own; `Busy` if the file lock is held for longer than `lock_s`."""
    with hold(home.lock, lock_s):
        set_aside(home)
        for aside in find_set_aside(home):
            time.sleep(2 * LEASE_S)
            _copy_back(home, aside)
            remove_database(aside)


def _copy_back(home: Home, aside: str) -> None:
    """Copy to the spool's path; if a new spool exists there by now, to a quarantined copy that is salvaged into it."""
    temporary, damaged = home.spool + ".new", f"{home.spool}.damaged-{time.time_ns():x}"
    remove_database(temporary)
    for suffix in COPIED_SUFFIXES:
        _copy(aside + suffix, temporary + suffix)
    if os.path.lexists(home.spool) or not _make_original(temporary, aside):
        rename_database(temporary, damaged)
    else:
        remove_orphan_wal(home)
        os.rename(temporary, home.spool)


def _copy(source: str, target: str) -> None:
    if not os.path.lexists(source):
        return
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    with open(source, "rb") as old, open(os.open(target, flags, 0o600), "wb") as new:
        shutil.copyfileobj(old, new)
        new.flush()
        os.fsync(new.fileno())


def _make_original(path: str, source: str) -> bool:
    """Store the origin of the copy at `path` if `source` was no copy, and checkpoint it; False if it is damaged."""
    if leads_elsewhere(path):
        return False
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            if not is_copy(connection, source):
                store_origin(connection, find_origin(path))
            (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy
    except (*FAULTS, Damaged):
        return False
