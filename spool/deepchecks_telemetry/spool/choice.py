"""The user's choice: written whole or not at all, before anything else is changed because of it."""

import os
from contextlib import suppress

from deepchecks_telemetry.spool.consent.decision import OFF
from deepchecks_telemetry.spool.db.busy import monotonic, writing
from deepchecks_telemetry.spool.db.connection import BUSY_TIMEOUT_S, opened
from deepchecks_telemetry.spool.errors import Unusable
from deepchecks_telemetry.spool.files.directory import make_folder, stranger
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


def write_private(path: str, text: str) -> None:
    """Put `text` at `path` for this user alone (0600): a new file, fsynced, then renamed over the old one."""
    folder = os.path.dirname(path)
    temporary = f"{path}.{os.getpid()}.new"
    try:
        make_folder(folder)
        told = stranger(os.stat(folder))  # which may be a link: people keep their configuration elsewhere
        if told:
            raise Unusable(f"your choice cannot be written: the folder {folder} {told}")
        _write_new(temporary, text)
        os.replace(temporary, path)
        sync_folder(folder)
    except OSError as error:
        raise Unusable(f"your choice cannot be written to {path} ({error.strerror or type(error).__name__})") from error


def _write_new(path: str, text: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)  # what a crash left there, or somebody put there: a FIFO would keep us waiting
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def sync_folder(folder: str) -> None:
    """Make a rename in `folder` outlive a power cut (POSIX; Windows has no such call)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
