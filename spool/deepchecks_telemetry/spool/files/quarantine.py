"""A damaged spool is quarantined, never written again, and counting goes on in a new one.

Appenders do not take the file lock, so some may still hold the old file. Each of them looks at most `LEASE_S` before
it acknowledges a record whether its file still stands at the spool's path, and else does not acknowledge. So whatever
was acknowledged in the old file was there `LEASE_S` after the rename, and is found by whoever salvages it later.
"""

import os
import time

from deepchecks_telemetry.spool.errors import Unusable, raise_if_hosts
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.regular import (
    SIDE_SUFFIXES,
    exists,
    file_id,
    is_hard_linked_database,
    is_plain_database,
)

LEASE_S = 0.01
SETTLED_S = 1.0  # a copy is salvaged only so long after its rename: a hundred leases
SET_ASIDE = ".linked-"
MAX_SET_ASIDE = 64  # two months of nightly backups
MAX_QUARANTINED = 4  # copies kept apart at once; a disk that damages every new spool must not be filled with them


def quarantine(home: Home, damaged: tuple[int, int] | None) -> None:
    """Rename the spool that was found damaged, unless another process was faster; the caller holds the file lock."""
    if damaged is None or file_id(home.spool) != damaged:
        return
    if len(quarantined(home)) >= MAX_QUARANTINED:
        raise Unusable("the spool was damaged repeatedly")
    _rename(home.spool, f"{home.spool}.damaged-{time.time_ns():x}")


def set_aside(home: Home) -> None:
    """Rename a spool that has a second name, so that a new one can be made; the caller holds the file lock.

    `recovery/hard_links.py` copies it back. After `MAX_SET_ASIDE` backups without a command nothing is recorded.
    """
    if is_hard_linked_database(home.spool) and len(find_set_aside(home)) < MAX_SET_ASIDE:
        _rename(home.spool, f"{home.spool}{SET_ASIDE}{time.time_ns():x}")


def find_set_aside(home: Home) -> list[str]:
    """The spools that were set aside and are not copied back yet, oldest first."""
    beginning = os.path.basename(home.spool) + SET_ASIDE
    names = [name for name in sorted(os.listdir(home.state)) if name.startswith(beginning)]
    return [os.path.join(home.state, name) for name in names if not name.endswith(SIDE_SUFFIXES)]


def quarantined(home: Home) -> list[str]:
    """The copies that were quarantined and not salvaged yet, oldest first."""
    try:
        names = os.listdir(home.state)
    except OSError as error:
        raise_if_hosts(error)
        return []
    marks = [name for name in names if name.startswith("spool.db.damaged-") and not name.endswith(SIDE_SUFFIXES)]
    copies = [os.path.join(home.state, name) for name in sorted(marks)]
    return list(filter(is_plain_database, copies))  # a link was put there by somebody else


def _rename(path: str, aside: str) -> None:
    # The database first: whoever comes now finds none, and waits for the lock to make one.
    for suffix in ("", *SIDE_SUFFIXES):
        if exists(path + suffix):
            os.rename(path + suffix, aside + suffix)


def discard(home: Home, copy: str, *, saved: bool) -> None:
    """After the salvage: remove the copy, or keep the newest of those that nothing could be read from.

    It may be somebody else's file, that was put in our place by mistake. `disable` removes it all the same.
    """
    kept = home.spool + ".unreadable"
    for suffix in ("", *SIDE_SUFFIXES):
        if exists(copy + suffix):
            os.unlink(copy + suffix) if saved else os.replace(copy + suffix, kept + suffix)


def remove_orphan_wal(home: Home) -> None:
    """Take away the WAL of a spool that is gone, or SQLite would play it into the new one; under the file lock.

    One that is left belongs to the copy whose renaming was cut short.
    """
    copies = quarantined(home)
    for suffix in SIDE_SUFFIXES:
        stray = home.spool + suffix
        if exists(stray):
            if copies and not exists(copies[-1] + suffix):
                os.rename(stray, copies[-1] + suffix)
            else:
                os.unlink(stray)
