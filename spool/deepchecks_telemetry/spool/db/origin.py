"""Detects that a spool is a copy (in an image, on a cloned machine, from a backup), so that no event is sent twice.

A spool stores salted digests of the identity of its file and of the machine that it was created on; they are never
sent. If one of them differs, the original sends the unsent events: the copy drops and counts them, and continues as a
new installation.

On Linux a file is identified by its inode number and, in a container, the writable layer that it is in; a machine by
its machine-id(5). An unknown identity is "" and never makes a spool a copy: the machine id in a container, because it
is the image's; a file on a network file system, or on one that changes inode numbers at each mount.
"""

import hashlib
import os
import sqlite3
import sys
from typing import Any

from deepchecks_telemetry.spool.consent.resource import is_container, read_text
from deepchecks_telemetry.spool.db.busy import MANY_TRIES, writing
from deepchecks_telemetry.spool.db.sqlite_errors import is_busy
from deepchecks_telemetry.spool.errors import Damaged, raise_if_hosts
from deepchecks_telemetry.spool.files.directory import find_mount

# File systems on which a file keeps its inode number. FAT does not keep it; on FUSE it depends on the implementation.
STABLE = frozenset("bcachefs btrfs ext2 ext3 ext4 f2fs jfs nilfs2 overlay tmpfs xfs zfs".split())
MACHINE_ID = "/etc/machine-id"
SALT_BYTES = 16
HEX = frozenset("0123456789abcdef")
Origin = tuple[str, str]  # the identities of a spool's machine and file, each "" if unknown


def digest(origin: Origin, salt: str) -> Origin:
    """Both identities as BLAKE2b digests (RFC 7693), keyed with the salt, so that they can only be compared."""
    key = salt.encode()[: hashlib.blake2b.MAX_KEY_SIZE]
    machine, file = (text and hashlib.blake2b(text.encode(), key=key, digest_size=16).hexdigest() for text in origin)
    return machine, file


def settle_origin(connection: sqlite3.Connection, path: str, deadline: float, *, tries: int = MANY_TRIES) -> None:
    """Store the origin of the spool at `path` if none is stored; turn a copy into a new installation.

    Nothing is written if the fence is closed. Raises `Busy` at `deadline` (of `monotonic`) or after `tries`.
    """
    origin = find_origin(path)
    if not any(origin) or _is_settled(connection, origin):
        return
    # Not at the top, because a host seldom needs it; not below, because it would hold the write lock meanwhile.
    from deepchecks_telemetry.spool.db.emptying import become_new_installation

    with writing(connection, deadline, tries=tries):
        if connection.execute("SELECT epoch % 2 FROM spool").fetchone() == (0,):
            if _is_copy(_read(connection), origin):
                become_new_installation(connection)
            store_origin(connection, origin)


def store_origin(connection: sqlite3.Connection, origin: Origin) -> None:
    """Store the origin, in the caller's transaction."""
    salt = os.urandom(SALT_BYTES).hex()
    connection.execute("INSERT OR REPLACE INTO origin VALUES (1, ?, ?, ?)", (salt, *digest(origin, salt)))


def is_copy(connection: sqlite3.Connection, path: str) -> bool:
    """Whether the stored origin differs from the one of the file at `path` and of this machine."""
    return _is_copy(_read(connection), find_origin(path))


def find_origin(path: str) -> Origin:
    """The identities of this machine and of the file at `path`; raises `FileNotFoundError`."""
    inode = str(os.stat(path).st_ino)
    try:
        kind, layer = find_mount(os.path.dirname(path))
    except OSError as error:
        raise_if_hosts(error)
        return _find_machine(), inode if sys.platform in {"darwin", "win32"} else ""
    return (_find_machine(), f"{inode} {layer}") if kind in STABLE else ("", "")


if sys.platform == "win32":

    def _find_machine() -> str:
        import winreg

        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SOFTWARE\Microsoft\Cryptography") as key:
            return str(winreg.QueryValueEx(key, "MachineGuid")[0])

else:

    def _find_machine() -> str:
        return "" if is_container() else read_text(MACHINE_ID)[:64].strip()


def _is_settled(connection: sqlite3.Connection, origin: Origin) -> bool:
    try:
        stored = _read(connection)
    except sqlite3.OperationalError as error:
        if is_busy(error):
            raise
        return True  # a spool of an older version, until a command migrates it
    return stored is not None and not _is_copy(stored, origin)


def _read(connection: sqlite3.Connection) -> tuple[str, ...] | None:
    """The stored salt and digests; `Damaged` if they are anything else, which would be taken for those of a copy."""
    row: tuple[Any, ...] | None = connection.execute("SELECT salt, machine, file FROM origin").fetchone()
    if row is not None and not all(isinstance(text, str) and HEX.issuperset(text) for text in row):
        raise Damaged("the spool file has no valid origin row")
    return row


def _is_copy(stored: tuple[str, ...] | None, origin: Origin) -> bool:
    if stored is None:
        return False
    salt, *digests = stored
    return any(old and new and old != new for old, new in zip(digests, digest(origin, salt), strict=True))
