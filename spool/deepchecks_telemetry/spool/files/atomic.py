"""Writes a file completely or not at all, even if two processes write it at the same time: write, fsync, rename."""

import errno
import os
import re
import time
from contextlib import suppress

# Random, because two containers that share a home directory can both have process id 1.
TEMPORARY = re.compile(r"\.[0-9a-f]{12}\.new")
READERS_WAIT_S, PAUSE_S = 2.0, 0.002
PRIVATE = 0o600
BY_UMASK = None
# A directory that its file system cannot sync (CIFS, vfat), or that is writable but not readable.
UNSYNCABLE = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM)


def replace_file(path: str, content: bytes, *, permissions: int | None = PRIVATE, temporary: str | None = None) -> None:
    """Write `content` to `path`, synced to disk before the rename; after an `OSError` the old file is unchanged.

    `permissions` apply regardless of the umask; `BY_UMASK` applies the umask. `temporary` is the path that is written
    first, random by default.
    """
    temporary = temporary or f"{path}.{os.urandom(6).hex()}.new"
    try:
        _write_new(temporary, content, permissions)
        _rename_over(temporary, path)
    except (OSError, KeyboardInterrupt):
        with suppress(OSError):
            os.unlink(temporary)
        raise
    sync_directory(os.path.dirname(os.path.abspath(path)))


def _write_new(path: str, content: bytes, permissions: int | None) -> None:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o666 if permissions is None else permissions)
    with open(descriptor, "wb") as file:
        if permissions is not None and hasattr(os, "fchmod"):
            os.fchmod(descriptor, permissions)  # with a umask of 0777 the owner could not read the file
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _rename_over(source: str, target: str) -> None:
    """Rename; on Windows that fails while another process reads the target, as hosts do when it has changed."""
    deadline = time.monotonic() + READERS_WAIT_S
    while True:
        try:
            return os.replace(source, target)
        except PermissionError:
            if os.name != "nt" or time.monotonic() >= deadline:
                raise
        time.sleep(PAUSE_S)


def sync_directory(directory: str) -> None:
    """Make a rename in `directory` survive a power cut (POSIX; Windows has no such call)."""
    if os.name != "posix":
        return
    try:
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in UNSYNCABLE:
            raise
