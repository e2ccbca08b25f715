"""A damaged spool is renamed and never written again; recording continues in a new one.

Appenders do not take the file lock, so some may still have the old file open. At most `LEASE_S` before it acknowledges
a record, each of them checks that its file is still at the spool's path; if not, it does not acknowledge. So every
acknowledged record was in the old file `LEASE_S` after the rename, and is found when the copy is salvaged later.

On Windows a file cannot be renamed while a process has it open, and an idle program can have it open for days. Then the
file stays where it is, a marker beside it says that it was replaced, and the spool's path is the next one: `spool.db2`,
`spool.db3` … It is renamed by the first command that runs after all of those processes have closed it.
"""

import os
import time

from deepchecks_telemetry.spool.errors import Unusable, raise_if_hosts
from deepchecks_telemetry.spool.files.paths import REPLACED, SPOOL, Home
from deepchecks_telemetry.spool.files.regular import (
    SIDE_SUFFIXES,
    exists,
    file_id,
    is_hard_linked_database,
    is_plain_database,
)

LEASE_S = 0.01
SETTLED_S = 1.0  # a copy is only salvaged this long after its rename: a hundred leases
COPY = SPOOL + ".damaged-"
SET_ASIDE = ".linked-"
MAX_SET_ASIDE = 64  # two months of nightly backups
MAX_QUARANTINED = 4  # copies, so that a disk that damages every new spool is not filled with them


def quarantine(home: Home, damaged: tuple[int, int] | None) -> None:
    """Rename or replace the damaged spool, unless another process has already; the caller holds the file lock."""
    spool = home.spool
    if damaged is None or file_id(spool) != damaged:
        return
    if len(quarantined(home)) + len(find_replaced(home)) >= MAX_QUARANTINED:
        raise Unusable("the spool was damaged repeatedly")
    if not _rename_to_copy(home, spool):
        os.close(os.open(spool + REPLACED, os.O_CREAT | os.O_WRONLY, 0o600))


def find_replaced(home: Home) -> list[str]:
    """The damaged spools that could not be renamed yet, oldest first."""
    return [spool for spool in home.spools[:-1] if exists(spool)]


def quarantine_replaced(home: Home) -> None:
    """Rename the replaced spools that no process has open any more; the caller holds the file lock."""
    for spool in find_replaced(home):
        _rename_to_copy(home, spool)


def _rename_to_copy(home: Home, spool: str) -> bool:
    """False if another process has the file open (only on Windows)."""
    try:
        rename_database(spool, os.path.join(home.state, f"{COPY}{time.time_ns():x}"))
    except PermissionError as error:
        raise_if_hosts(error)
        if os.name != "nt":
            raise
        return False
    return True


def set_aside(home: Home) -> None:
    """Rename a spool with a second hard link, so that a new one can be created; the caller holds the file lock.

    `recovery/hard_links.py` copies it back. After `MAX_SET_ASIDE` backups without a command nothing is recorded.
    """
    if is_hard_linked_database(home.spool) and len(find_set_aside(home)) < MAX_SET_ASIDE:
        rename_database(home.spool, f"{home.spool}{SET_ASIDE}{time.time_ns():x}")


def find_set_aside(home: Home) -> list[str]:
    """The spools that were set aside and not copied back yet, oldest first."""
    prefix = os.path.basename(home.spool) + SET_ASIDE
    names = [name for name in sorted(os.listdir(home.state)) if name.startswith(prefix)]
    return [os.path.join(home.state, name) for name in names if not name.endswith(SIDE_SUFFIXES)]


def quarantined(home: Home) -> list[str]:
    """The copies that were quarantined and not salvaged yet, oldest first."""
    try:
        names = os.listdir(home.state)
    except OSError as error:
        raise_if_hosts(error)
        return []
    names = [name for name in names if name.startswith(COPY) and not name.endswith(SIDE_SUFFIXES)]
    copies = [os.path.join(home.state, name) for name in sorted(names)]
    return list(filter(is_plain_database, copies))  # a link is not one of our copies


def rename_database(path: str, target: str) -> None:
    """Rename a database with the files that SQLite keeps beside it."""
    # The database first, so that another process finds none, and waits for the lock to create one.
    for suffix in ("", *SIDE_SUFFIXES):
        if exists(path + suffix):
            os.rename(path + suffix, target + suffix)


def discard(home: Home, copy: str, *, saved: bool) -> None:
    """Remove the copy after the salvage; if nothing could be read from it, keep it in place of the last such copy.

    It may be somebody else's file that was moved to the spool's path by mistake. `disable` removes it nevertheless.
    """
    unreadable = os.path.join(home.state, SPOOL + ".unreadable")
    for suffix in ("", *SIDE_SUFFIXES):
        if exists(copy + suffix):
            os.unlink(copy + suffix) if saved else os.replace(copy + suffix, unreadable + suffix)


def remove_orphan_wal(home: Home) -> None:
    """Remove the WAL of a spool that was renamed, or SQLite would apply it to the new one; under the file lock.

    After a crash between two renames it belongs to the last copy, and is moved beside it.
    """
    copies = quarantined(home)
    for suffix in SIDE_SUFFIXES:
        stray = home.spool + suffix
        if exists(stray):
            if copies and not exists(copies[-1] + suffix):
                os.rename(stray, copies[-1] + suffix)
            else:
                os.unlink(stray)
