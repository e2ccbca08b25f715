"""Writes the user's choice completely or not at all, before anything else is changed because of it."""

import os
from contextlib import suppress

from deepchecks_telemetry.spool.consent.decision import OFF
from deepchecks_telemetry.spool.db.busy import monotonic, writing
from deepchecks_telemetry.spool.db.connection import BUSY_TIMEOUT_S, opened
from deepchecks_telemetry.spool.errors import Damaged, Unusable
from deepchecks_telemetry.spool.files.atomic import PRIVATE, replace_file
from deepchecks_telemetry.spool.files.directory import make_directory, tighten, untrusted_reason
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.regular import is_plain


def choose(home: Home, mode: str) -> None:
    """Write the choice; for `on` and `local`, open the spool's fence again if it is closed."""
    _write_mode(home.mode, mode)
    if mode == OFF or not os.path.exists(home.spool):
        return
    # A damaged spool is quarantined by now, and the fence of the next one is open.
    deadline = monotonic() + BUSY_TIMEOUT_S
    with (
        suppress(Damaged),
        hold(home.lock, BUSY_TIMEOUT_S),
        opened(home, locked=True) as spool,
        writing(spool, deadline),
    ):
        spool.execute("UPDATE spool SET epoch = epoch + 1 WHERE epoch % 2 = 1")


def choose_off(home: Home) -> bool:
    """Write `off`; False if the disk is full, so that the file could only be truncated. An empty file also means off.

    `off` is written even if other users can write to the directory. No other choice counts in such a directory.
    """
    try:
        _write_mode(home.mode, OFF, shared=True)
    except Unusable:
        if not _overwrite(home.mode, ""):
            raise
        return False
    return True


def _write_mode(path: str, mode: str, *, shared: bool = False) -> None:
    """Write the mode; on Windows, where a file that hosts read all the time cannot be replaced, write into the file.

    If that is interrupted, the file is empty or has a part of the word, which both mean off.
    """
    try:
        write_private(path, mode + "\n", shared=shared)
    except Unusable as error:
        is_read = os.name == "nt" and isinstance(error.__cause__, PermissionError)
        if not is_read or not _overwrite(path, mode + "\n"):
            raise


def write_private(path: str, text: str, *, shared: bool = False) -> None:
    """Write `text` to `path`, readable by this user only (0600): a new file is fsynced and renamed over the old one."""
    directory = os.path.dirname(path)
    try:
        make_directory(directory)
        status = tighten(directory, os.stat(directory))  # may be a link, because people keep configuration elsewhere
        reason = untrusted_reason(status, writable=shared)
        if reason:
            raise Unusable(f"your choice cannot be written: the directory {directory} {reason}")
        replace_file(path, text.encode())
    except OSError as error:
        raise Unusable(f"your choice cannot be written to {path} ({error.strerror or type(error).__name__})") from error


def _overwrite(path: str, text: str) -> bool:
    """Write `text` into the file at `path`, which needs no disk space if it is empty; False if even that fails."""
    try:
        if untrusted_reason(os.stat(os.path.dirname(path)), writable=True):
            return False
        if not is_plain(path):
            os.unlink(path)  # a symbolic link, or a hard link to a file of a backup
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        with open(os.open(path, flags, PRIVATE), "w", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        return False
    return True
