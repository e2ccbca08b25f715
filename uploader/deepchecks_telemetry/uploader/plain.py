"""A file from elsewhere is read only if it is a plain one, and no further than it may be long.

A FIFO keeps its reader waiting for ever, a device has no end, and a sparse file of terabytes fits on any disk.
"""

import errno
import os
import stat


def read_plain(path: str, most: int) -> bytes:
    """All bytes of a file; raises `OSError` where it cannot be read, is no plain file, or is longer than `most`."""
    with open(path, "rb", opener=_open_at_once) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no plain file", path)
        if status.st_size > most:
            raise OSError(errno.EFBIG, "it is too long to be one of ours", path)
        return file.read(most)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
