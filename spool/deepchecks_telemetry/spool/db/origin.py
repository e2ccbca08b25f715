"""Whether a spool is a copy: in an image, on a cloned machine, restored from a backup.

A spool keeps a salted digest of the file that it is and of the machine that it was made on; neither leaves the machine.
Where they differ, the events that wait in it are its original's to send: the copy drops and counts them, and starts its
first day anew, as another installation.

On Linux a file is known by its inode number and, in a container, by the writable layer that it lies in; a machine by
its id (machine-id(5)). What cannot be known is "" and never makes a copy: the machine id in a container, which is its
image's; a file on a file system that gives it another inode number each time it is mounted, or that is a network's.
"""

import hashlib
import os
import sqlite3
import sys
from typing import NamedTuple

from deepchecks_telemetry.spool.consent.resource import is_container
from deepchecks_telemetry.spool.db.busy import MANY_TRIES, writing
from deepchecks_telemetry.spool.db.compaction import add_tally, fold
from deepchecks_telemetry.spool.db.emptying import forget_installation
from deepchecks_telemetry.spool.db.schema import UNSETTLED, BatchState, in_states
from deepchecks_telemetry.spool.db.sqlite_errors import is_busy
from deepchecks_telemetry.spool.errors import raise_if_hosts
from deepchecks_telemetry.spool.files.directory import find_mount

COPIED_TALLY = "dropped:copied"
# A file keeps its inode number here; on FAT it does not, and on FUSE as its author pleases.
STABLE = frozenset("bcachefs btrfs ext2 ext3 ext4 f2fs jfs nilfs2 overlay tmpfs xfs zfs".split())
MACHINE_ID = "/etc/machine-id"
SALT_BYTES = 16
_UNSETTLED = in_states(*UNSETTLED)
_BATCHED = f"SELECT coalesce(sum(events), 0) FROM batches WHERE state IN {_UNSETTLED}"  # noqa: S608


class Origin(NamedTuple):
    """What a spool's file and its machine are told by, each "" where it cannot be known."""

    machine: str
    file: str

    def digest(self, salt: str) -> "Origin":
        """The same, so that it can only be compared: BLAKE2b (RFC 7693), keyed with the salt."""
        key = salt.encode()[: hashlib.blake2b.MAX_KEY_SIZE]
        return Origin(*(text and hashlib.blake2b(text.encode(), key=key, digest_size=16).hexdigest() for text in self))

    def differs(self, other: "Origin") -> bool:
        """Whether one of them is known on both sides, and not the same."""
        return any(mine and theirs and mine != theirs for mine, theirs in zip(self, other, strict=True))


def settle_origin(connection: sqlite3.Connection, path: str, deadline: float, *, tries: int = MANY_TRIES) -> None:
    """Note which spool the one at `path` is, if that is not noted; make another installation of a copy.

    Nothing is written where the fence is closed. Raises `Busy` at `deadline` (of `monotonic`) or after `tries`.
    """
    here = find_origin(path)
    if not any(here) or _is_settled(connection, here):
        return
    with writing(connection, deadline, tries=tries):
        if connection.execute("SELECT epoch % 2 FROM spool").fetchone() == (0,):
            if _is_copy(_read(connection), here):
                _start_anew(connection)
            note_origin(connection, here)


def note_origin(connection: sqlite3.Connection, here: Origin) -> None:
    """Note which spool this is, in the caller's transaction."""
    salt = os.urandom(SALT_BYTES).hex()
    connection.execute("INSERT OR REPLACE INTO origin VALUES (1, ?, ?, ?)", (salt, *here.digest(salt)))


def is_copy(connection: sqlite3.Connection, path: str) -> bool:
    """Whether the spool is noted to be another file than the one at `path`, or another machine's."""
    return _is_copy(_read(connection), find_origin(path))


def find_origin(path: str) -> Origin:
    """The file at `path` and this machine; raises `FileNotFoundError`."""
    inode = str(os.stat(path).st_ino)
    try:
        kind, layer = find_mount(os.path.dirname(path))
    except OSError as error:
        raise_if_hosts(error)
        return Origin(_find_machine(), inode if sys.platform in {"darwin", "win32"} else "")
    return Origin(_find_machine(), f"{inode} {layer}") if kind in STABLE else Origin("", "")


if sys.platform == "win32":

    def _find_machine() -> str:
        import winreg

        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SOFTWARE\Microsoft\Cryptography") as key:
            return str(winreg.QueryValueEx(key, "MachineGuid")[0])

else:

    def _find_machine() -> str:
        try:
            with open(MACHINE_ID, encoding="utf-8", errors="replace") as file:
                return "" if is_container() else file.read(64).strip()
        except OSError as error:
            raise_if_hosts(error)
            return ""


def _is_settled(connection: sqlite3.Connection, here: Origin) -> bool:
    try:
        noted = _read(connection)
    except sqlite3.OperationalError as error:
        if is_busy(error):
            raise
        return True  # a spool of an older version, until a command has brought it up to date
    return noted is not None and not _is_copy(noted, here)


def _read(connection: sqlite3.Connection) -> tuple[object, ...] | None:
    found: tuple[object, ...] | None = connection.execute("SELECT salt, machine, file FROM origin").fetchone()
    return found


def _is_copy(noted: tuple[object, ...] | None, here: Origin) -> bool:
    if noted is None:
        return False
    salt, machine, file = map(str, noted)
    return Origin(machine, file).differs(here.digest(salt))


def _start_anew(connection: sqlite3.Connection) -> None:
    fold(connection)
    (pending,) = connection.execute("SELECT coalesce(sum(count), 0) FROM folded").fetchone()
    (batched,) = connection.execute(_BATCHED).fetchone()
    connection.execute("DELETE FROM folded")
    connection.execute(f"DELETE FROM rows WHERE batch IN (SELECT id FROM batches WHERE state IN {_UNSETTLED})")  # noqa: S608
    connection.execute(
        f"UPDATE batches SET state = '{BatchState.DROPPED}', outcome = 'the spool was copied', packed = x'' "  # noqa: S608
        f"WHERE state IN {_UNSETTLED}"
    )
    add_tally(connection, COPIED_TALLY, int(pending) + int(batched))
    connection.execute("DELETE FROM retry_after")
    forget_installation(connection)
