"""`disable`: after it nothing is recorded or sent, and no byte of what was recorded is left in any file of ours.

The order is the guarantee: the choice first, on disk; then the fence, in one write transaction; then the rows; then
VACUUM, which rewrites the file; then the TRUNCATE checkpoint, without which the WAL keeps every byte.
"""

import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field

from deepchecks_telemetry.spool.batches.export_files import remove_exports
from deepchecks_telemetry.spool.catalogue import EVENTS
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import OFF
from deepchecks_telemetry.spool.db.busy import writing
from deepchecks_telemetry.spool.db.compaction import checkpoint
from deepchecks_telemetry.spool.db.connection import BUSY_TIMEOUT_S, opened
from deepchecks_telemetry.spool.db.schema import FINAL
from deepchecks_telemetry.spool.errors import Busy, Damaged, Outdated
from deepchecks_telemetry.spool.files.directory import check_ground
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.quarantine import LEASE_S
from deepchecks_telemetry.spool.files.regular import is_plain
from deepchecks_telemetry.spool.stats import Accounts, read_books

UPLOAD_WAIT_S = 45.0  # more than an upload's own total deadline
READERS_WAIT_S = 10.0  # a reader in another process keeps the WAL from being cut
# Whatever a newer version has added is wiped too; `_…` is sqlite-utils' note of the migrations done.
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'spool' AND name NOT GLOB '[_]*'"


@dataclass(frozen=True, slots=True)
class Erased:
    """What `disable` took away, byte strings that must be found nowhere any more, and who had received batches.

    `carried` are the paths of exports that were not ours any more, or not there: carried away, or edited.
    """

    before: Accounts = field(default_factory=Accounts)
    files: int = 0
    markers: tuple[bytes, ...] = ()
    receivers: tuple[str, ...] = ()
    carried: tuple[str, ...] = ()


def erase(home: Home, *, on_wait: Callable[[], None] = lambda: None) -> Erased:
    """Choose off and wipe, or raise `Busy`; `on_wait` is called before waiting for an upload in flight."""
    choose(home, OFF)
    try:
        _unplant(home)
        return _erase(home, on_wait)
    except FileNotFoundError:
        # A process that is just making the spool reads the choice after it is made, and stops there.
        return _remove_all(home)
    except (Damaged, Outdated):
        return _remove_all(home)


def _erase(home: Home, on_wait: Callable[[], None]) -> Erased:
    _close_fence(home)
    with ExitStack() as held:
        try:
            held.enter_context(hold(home.upload_lock, 0))
        except Busy:
            on_wait()
            held.enter_context(hold(home.upload_lock, UPLOAD_WAIT_S))
        held.enter_context(hold(home.lock, BUSY_TIMEOUT_S))
        with opened(home, locked=True) as connection:
            before = read_books(connection)
            markers, receivers = _read_markers(connection), _read_receivers(connection)
            exports = remove_exports(home)
            _wipe(connection)
        files = len(exports.removed) + _remove(home, _is_leftover)
        return Erased(before, files, markers, receivers, exports.left + exports.missing)


def _unplant(home: Home) -> None:
    """Take away the links, FIFOs and second names in our folder: none is ours, and what they lead to stays."""
    check_ground(home)
    for entry in os.scandir(home.state):
        if not (entry.is_dir(follow_symlinks=False) or is_plain(entry.path)):
            os.unlink(entry.path)


def _close_fence(home: Home) -> None:
    with opened(home) as connection, writing(connection, time.monotonic() + BUSY_TIMEOUT_S):
        connection.execute("UPDATE spool SET epoch = epoch + 1 WHERE epoch % 2 = 0")


def _wipe(connection: sqlite3.Connection) -> None:
    for pragma in ("secure_delete = ON", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    with writing(connection, time.monotonic() + BUSY_TIMEOUT_S):
        for (table,) in connection.execute(TABLES).fetchall():
            connection.execute(f"DELETE FROM {table}")  # noqa: S608
        connection.execute(
            "UPDATE spool SET installation = NULL, installed_day = NULL, next_upload = NULL, retry_after = NULL, "
            "failures = 0, endpoint = NULL"
        )
    connection.execute("VACUUM")
    deadline = time.monotonic() + READERS_WAIT_S
    while not checkpoint(connection):
        if time.monotonic() >= deadline:
            raise Busy("another process is reading the spool, so its last copy of the rows could not be cut off")
        time.sleep(0.02)


def _read_markers(connection: sqlite3.Connection) -> tuple[bytes, ...]:
    found = connection.execute(
        "SELECT uid FROM rows UNION SELECT installation FROM spool UNION SELECT sha256 FROM batches"
    )
    # A spool that was edited by hand can hold bytes anywhere.
    return tuple(value if isinstance(value, bytes) else str(value).encode() for (value,) in found if value)


def _read_receivers(connection: sqlite3.Connection) -> tuple[str, ...]:
    marks = ", ".join("?" * len(FINAL))
    found = connection.execute(f"SELECT DISTINCT endpoint FROM batches WHERE state IN ({marks}) ORDER BY 1", FINAL)  # noqa: S608
    return tuple(str(endpoint) for (endpoint,) in found if endpoint)


def _remove_all(home: Home) -> Erased:
    """Where there is no spool that could be wiped, its files and copies go; then nobody holds them any more."""
    if not os.path.isdir(home.state):
        exports = remove_exports(home)
        return Erased(files=len(exports.removed), carried=exports.left)
    with hold(home.upload_lock, UPLOAD_WAIT_S), hold(home.lock, BUSY_TIMEOUT_S):
        exports = remove_exports(home)
        removed = _remove(home, _is_spool)
    time.sleep(2 * LEASE_S)  # by then each process that had the file open has seen that it is gone
    return Erased(files=len(exports.removed) + removed, carried=exports.left + exports.missing)


def _remove(home: Home, belongs: Callable[[str], bool]) -> int:
    names = [name for name in os.listdir(home.state) if belongs(name)]
    for name in names:
        os.unlink(os.path.join(home.state, name))
    return len(names)


def _is_spool(name: str) -> bool:
    return name.startswith("spool.db")


def _is_leftover(name: str) -> bool:
    """Half-made spools (`spool.db.new`) and quarantined ones (`spool.db.damaged…`)."""
    return name.startswith("spool.db.")


def find_residue(home: Home, markers: Iterable[bytes] = ()) -> tuple[int, list[str]]:
    """How many files of ours were read, and the names of those in which an event's name or a marker still stands.

    Never call it in a process that has the spool open: closing a file drops SQLite's locks on it, and another
    process's acknowledged row is lost.
    """
    wanted = (*markers, *(event.name.encode() for event in EVENTS))
    files = [
        os.path.join(folder, name)
        for top in (home.state, home.config)
        for folder, _, names in os.walk(top)
        for name in names
    ]
    return len(files), [os.path.basename(path) for path in files if _holds(path, wanted)]


def _holds(path: str, markers: Iterable[bytes]) -> bool:
    if not stat.S_ISREG(os.lstat(path).st_mode):
        return False  # a link's file is not ours, a FIFO has no bytes and keeps its reader waiting
    with open(path, "rb") as file:
        content = file.read()
    return any(marker in content for marker in markers)
