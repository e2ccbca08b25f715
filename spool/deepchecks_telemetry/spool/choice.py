"""The user's choice: written whole or not at all, before anything else is changed because of it."""

import os
import stat

from deepchecks_telemetry.spool.consent.decision import OFF
from deepchecks_telemetry.spool.db.busy import monotonic, writing
from deepchecks_telemetry.spool.db.connection import BUSY_TIMEOUT_S, opened
from deepchecks_telemetry.spool.errors import Unusable
from deepchecks_telemetry.spool.files.atomic import PRIVATE, replace_file
from deepchecks_telemetry.spool.files.directory import make_directory, tighten, untrusted_reason
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home


def choose(home: Home, mode: str) -> None:
    """Write the choice, and open the spool's fence again where it was closed; for `on` and `local`."""
    write_private(home.mode, mode + "\n")
    if mode == OFF or not os.path.exists(home.spool):
        return
    deadline = monotonic() + BUSY_TIMEOUT_S
    with hold(home.lock, BUSY_TIMEOUT_S), opened(home, locked=True) as connection, writing(connection, deadline):
        connection.execute("UPDATE spool SET epoch = epoch + 1 WHERE epoch % 2 = 1")


def choose_off(home: Home) -> bool:
    """Write `off`; False where, on a full disk, the old choice could only be cut to nothing, which means off too.

    It is written as well into a directory of this user's that others can write, where no other choice counts.
    """
    try:
        write_private(home.mode, OFF + "\n", shared=True)
    except Unusable:
        if not _cut(home.mode):
            raise
        return False
    return True


def write_private(path: str, text: str, *, shared: bool = False) -> None:
    """Put `text` at `path` for this user alone (0600): a new file, fsynced, then renamed over the old one."""
    directory = os.path.dirname(path)
    try:
        make_directory(directory)
        found = tighten(directory, os.stat(directory))  # which may be a link: people keep their configuration elsewhere
        reason = untrusted_reason(found, writable=shared)
        if reason:
            raise Unusable(f"your choice cannot be written: the directory {directory} {reason}")
        replace_file(path, text.encode())
    except OSError as error:
        raise Unusable(f"your choice cannot be written to {path} ({error.strerror or type(error).__name__})") from error


def _cut(path: str) -> bool:
    """Leave an empty file at `path`, which needs no space on the disk; False where even that cannot be done."""
    try:
        if untrusted_reason(os.stat(os.path.dirname(path)), writable=True):
            return False
        if os.path.lexists(path) and not _is_single(path):
            os.unlink(path)  # a link, or a name of a file that a backup has too
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), PRIVATE))
    except OSError:
        return False
    return True


def _is_single(path: str) -> bool:
    found = os.lstat(path)
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1
