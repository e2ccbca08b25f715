"""Only regular files with one hard link are opened at our paths; nothing else is read or written there.

A symbolic link or a second hard link can lead to somebody else's file, a FIFO blocks its reader for ever, and a device
never ends.
"""

import errno
import os
import stat
import sys
import time

from deepchecks_telemetry.spool.errors import raise_if_hosts

# The files that SQLite keeps beside a database; it opens each of them by name, and follows links.
SIDE_SUFFIXES = ("-journal", "-wal", "-shm")
READ_TRIES, PAUSE_S = 10, 0.002  # not a deadline: the host's clock may be frozen
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")  # begins each segment of a journal; ends one that names another file


def is_plain(path: str) -> bool:
    """Whether `path` is a regular file of this user's with one hard link, or does not exist."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return True
    return stat.S_ISREG(status.st_mode) and status.st_nlink <= 1 and _is_mine(status)


def _is_mine(status: os.stat_result) -> bool:
    """Whether a file is this user's; others could create files as long as they could write to the directory."""
    return sys.platform == "win32" or status.st_uid == os.geteuid()


def is_hard_linked(path: str) -> bool:
    """Whether a regular file of this user's has a second hard link, for example from a backup by `cp -al`."""
    status = status_of(path, follow=False)
    return status is not None and stat.S_ISREG(status.st_mode) and status.st_nlink > 1 and _is_mine(status)


def is_hard_linked_database(database: str) -> bool:
    """Whether a database or a file that SQLite keeps beside it has a second hard link."""
    return any(is_hard_linked(database + suffix) for suffix in ("", *SIDE_SUFFIXES))


def is_lockable(path: str) -> bool:
    """Whether a lock may be taken on `path`: a plain file, or an empty one with a second hard link.

    Taking a lock truncates the file, so a second hard link is only safe if it is empty.
    """
    return is_plain(path) or (is_hard_linked(path) and os.lstat(path).st_size == 0)


def is_plain_database(path: str) -> bool:
    """Whether a database and all files that SQLite keeps beside it are plain or missing."""
    return all(is_plain(path + suffix) for suffix in ("", *SIDE_SUFFIXES))


def leads_elsewhere(database: str) -> bool:
    """Whether the journal beside a database names another file, which SQLite would delete with the journal.

    It does so after a transaction in two databases (sqlite.org/atomiccommit.html, 5), which the spool never uses.
    """
    journal = database + "-journal"
    # SQLite holds no lock on a journal, so opening and closing it is safe.
    if not exists(journal) or os.path.getsize(journal) < len(JOURNAL_MAGIC):
        return False
    with open(journal, "rb") as file:
        file.seek(-len(JOURNAL_MAGIC), os.SEEK_END)
        return file.read() == JOURNAL_MAGIC


def remove_database(path: str) -> None:
    """Remove whatever is at the paths of a database, without following links."""
    for suffix in ("", *SIDE_SUFFIXES):
        try:
            os.unlink(path + suffix)
        except FileNotFoundError:
            pass


def read_plain(path: str, max_bytes: int) -> bytes:
    """All bytes of a file, also through a link; `OSError` if it is not regular or longer than `max_bytes`."""
    with open(path, "rb", opener=_open_nonblocking) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", path)
        if status.st_size > max_bytes:
            raise OSError(errno.EFBIG, "File too large", path)
        return file.read(max_bytes)


def _open_nonblocking(path: str, flags: int) -> int:
    """Open; on Windows that fails for a moment while `replace_file` renames another file over this one."""
    nonblocking = flags | getattr(os, "O_NONBLOCK", 0)
    for _ in range(READ_TRIES if os.name == "nt" else 0):
        try:
            return os.open(path, nonblocking)
        except PermissionError:
            time.sleep(PAUSE_S)
    return os.open(path, nonblocking)


def status_of(path: str | int, *, follow: bool = True) -> os.stat_result | None:
    """The status of a path or a descriptor, None if there is none; an exception of the host's is not swallowed."""
    try:
        return os.stat(path, follow_symlinks=follow)
    except (OSError, ValueError) as error:
        raise_if_hosts(error)
        return None


def exists(path: str) -> bool:
    """As `os.path.lexists`, which would swallow a TimeoutError that the host's signal handler raises inside it."""
    return status_of(path, follow=False) is not None


def file_id(path: str) -> tuple[int, int] | None:
    """Device and inode of the file that is at `path` now; None if there is none."""
    status = status_of(path)
    return status and (status.st_dev, status.st_ino)
