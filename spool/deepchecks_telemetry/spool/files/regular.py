"""Only a plain file is one of ours: what else stands at a path of ours is neither read, nor written through.

A link leads to somebody else's file, a second name is somebody else's file, a FIFO keeps its reader waiting for ever,
and a device has no end.
"""

import errno
import os
import stat
import sys

from deepchecks_telemetry.spool.errors import raise_if_hosts

# What SQLite keeps beside a database; it opens each of them by its name, and follows links there.
SIDE_SUFFIXES = ("-journal", "-wal", "-shm")
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")  # begins each part of one, and ends one that names another


def is_plain(path: str) -> bool:
    """Whether a file of this user's that has no other name is at `path`, or nothing."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return True
    return stat.S_ISREG(found.st_mode) and found.st_nlink <= 1 and _is_mine(found)


def _is_mine(found: os.stat_result) -> bool:
    """Another user can have put a file of theirs here while they could write to the directory."""
    return sys.platform == "win32" or found.st_uid == os.geteuid()


def is_hard_linked(path: str) -> bool:
    """Whether a plain file of this user's has another name, as a backup by hard links (`cp -al`) gives to each."""
    try:
        found = os.lstat(path)
    except OSError as error:
        raise_if_hosts(error)
        return False
    return stat.S_ISREG(found.st_mode) and found.st_nlink > 1 and _is_mine(found)


def is_hard_linked_database(database: str) -> bool:
    """The same for a database and all that SQLite keeps beside it."""
    return any(is_hard_linked(database + suffix) for suffix in ("", *SIDE_SUFFIXES))


def is_lockable(path: str) -> bool:
    """Whether a lock may be taken on what is at `path`: a plain file, or an empty one that a backup has too.

    Taking a lock cuts its file to nothing.
    """
    return is_plain(path) or (is_hard_linked(path) and os.lstat(path).st_size == 0)


def is_plain_database(path: str) -> bool:
    """The same for a database and all that SQLite keeps beside it."""
    return all(is_plain(path + suffix) for suffix in ("", *SIDE_SUFFIXES))


def leads_elsewhere(database: str) -> bool:
    """Whether the journal beside a database names another file, which SQLite would delete with it.

    It names one where a transaction was in two databases (sqlite.org/atomiccommit.html, 5); none of ours ever is.
    """
    journal = database + "-journal"
    # SQLite holds no lock on a journal, so it may be read by other means.
    if not exists(journal) or os.path.getsize(journal) < len(JOURNAL_MAGIC):
        return False
    with open(journal, "rb") as file:
        file.seek(-len(JOURNAL_MAGIC), os.SEEK_END)
        return file.read() == JOURNAL_MAGIC


def remove_database(path: str) -> None:
    """Make room for a new database: whatever stands there goes, and what it leads to stays."""
    for suffix in ("", *SIDE_SUFFIXES):
        try:
            os.unlink(path + suffix)
        except FileNotFoundError:
            pass


def read_plain(path: str, most: int) -> bytes:
    """All bytes of a file, through a link too; `OSError` where it is no plain file or longer than `most`."""
    with open(path, "rb", opener=_open_at_once) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", path)
        if found.st_size > most:
            raise OSError(errno.EFBIG, "File too large", path)
        return file.read(most)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def exists(path: str) -> bool:
    """As `os.path.lexists`, which passes over a TimeoutError that a host's signal handler raises inside it."""
    try:
        os.lstat(path)
    except (OSError, ValueError) as error:
        raise_if_hosts(error)
        return False
    return True


def file_id(path: str) -> tuple[int, int] | None:
    """Which file is at `path` now: device and inode, None where there is none."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise_if_hosts(error)
        return None
    return found.st_dev, found.st_ino
