"""Only a plain file is one of ours: what else stands at a path of ours is neither read, nor written through.

A link leads to somebody else's file, a second name is somebody else's file, a FIFO keeps its reader waiting for ever,
and a device has no end.
"""

import errno
import os
import stat
from contextlib import suppress

# What SQLite keeps beside a database; it opens each of them by its name, and follows links there.
BESIDE = ("-journal", "-wal", "-shm")


def is_plain(path: str) -> bool:
    """Whether a file that has no other name stands at `path`, or nothing."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return True
    return stat.S_ISREG(found.st_mode) and found.st_nlink <= 1


def is_plain_database(path: str) -> bool:
    """The same for a database and all that SQLite keeps beside it."""
    return all(is_plain(path + suffix) for suffix in ("", *BESIDE))


def clear(path: str) -> None:
    """Make room for a new database: whatever stands there goes, and what it leads to stays."""
    for suffix in ("", *BESIDE):
        with suppress(FileNotFoundError):
            os.unlink(path + suffix)


def read_plain(path: str, most: int) -> bytes:
    """All bytes of a file, through a link too; `OSError` where it is no plain file or longer than `most`."""
    with open(path, "rb", opener=_open_at_once) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no plain file", path)
        if found.st_size > most:
            raise OSError(errno.EFBIG, "it is too long to be one of ours", path)
        return file.read(most)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
