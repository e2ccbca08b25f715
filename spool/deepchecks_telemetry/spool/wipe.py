"""`disable`: after it nothing is recorded or sent, and no byte of what was recorded is left in any file of ours.

This depends on the order: first the choice, on disk; then the fence, in one write transaction; then the rows; then
VACUUM, which rewrites the file; then the TRUNCATE checkpoint, without which the WAL keeps every byte. If SQLite
cannot write (a full disk, a damaged file), the files themselves are removed, which needs no disk space.
"""

import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from deepchecks_telemetry.spool.batches.export_files import remove_exports
from deepchecks_telemetry.spool.choice import choose_off
from deepchecks_telemetry.spool.consent.decision import read_choice
from deepchecks_telemetry.spool.db.connection import BUSY_TIMEOUT_S, opened
from deepchecks_telemetry.spool.db.emptying import close_fence, empty_tables, read_markers, read_receivers
from deepchecks_telemetry.spool.errors import Busy, Damaged, Outdated, Unusable
from deepchecks_telemetry.spool.files.directory import check_state_dir
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import REPLACED, SPOOL, Home
from deepchecks_telemetry.spool.files.quarantine import LEASE_S, find_set_aside
from deepchecks_telemetry.spool.files.regular import SIDE_SUFFIXES, is_hard_linked_database, is_lockable, is_plain
from deepchecks_telemetry.spool.files.residue import find_page_directories
from deepchecks_telemetry.spool.recovery.hard_links import separate
from deepchecks_telemetry.spool.stats import Accounts, query_accounts

UPLOAD_WAIT_S = 45.0  # longer than the total deadline of an upload
UNWIPEABLE = (FileNotFoundError, Damaged, Outdated, Unusable)


@dataclass(frozen=True, slots=True)
class Erased:
    """What `disable` removed from the directories of `home`; `markers` are byte strings that no file may contain now.

    `removed`, `left` and `exports_left` are paths: of removed files, of files that could not be removed, and of exports
    that were moved or changed since, so they were not touched. `receivers` are endpoints that had received batches.
    """

    home: Home
    before: Accounts = field(default_factory=Accounts)
    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    markers: tuple[bytes, ...] = ()
    receivers: tuple[str, ...] = ()
    exports_left: tuple[str, ...] = ()


def erase_all(home: Home, *, on_wait: Callable[[], None] = lambda: None) -> list[Erased]:
    """Choose off and wipe in the directories in force and in the default ones; errors are raised at the end."""
    # HOME may be a link to the home directory in the user database.
    distinct = list({os.path.realpath(place.config): place for place in reversed(home.with_default)}.values())
    erased: list[Erased] = []
    errors: list[Exception] = []
    for target in distinct[::-1]:
        try:
            erased.append(erase(target, on_wait=on_wait))
        except (Busy, Unusable) as error:
            errors.append(error)
    time.sleep(2 * LEASE_S)  # by then each process with other directories has read the choice in the default one
    if errors:
        raise errors[0]
    return erased


def erase(home: Home, *, on_wait: Callable[[], None] = lambda: None) -> Erased:
    """Choose off and wipe one home, or raise `Busy`; `on_wait` is called before waiting for a running upload.

    If the choice cannot be written, everything else is done before `Unusable` is raised.
    """
    written = False
    with suppress(Unusable):
        written = choose_off(home)
    erased = _wipe(home, on_wait)
    try:
        if not written:
            choose_off(home)  # there may be disk space now
    except Unusable as error:
        raise Unusable(f"the recorded data was wiped, but {error}: {_explain_unwritten(home)}") from error
    return erased


def _explain_unwritten(home: Home) -> str:
    if os.path.exists(home.spool) and read_choice(home).mode is None:
        return "only the closed spool keeps telemetry off, so run disable again when the file can be written"
    return "telemetry can record again"


def _wipe(home: Home, on_wait: Callable[[], None]) -> Erased:
    pages = _remove_pages()
    if not os.path.lexists(home.state):
        exports = remove_exports(home)
        return Erased(home, removed=(*exports.removed, *pages[0]), left=(*exports.left, *pages[1]))
    check_state_dir(home, writable=True)
    if is_hard_linked_database(home.spool) or find_set_aside(home):
        separate(home, BUSY_TIMEOUT_S)  # its list of exports must be read; the backup's files are not ours
    _remove_foreign(home)
    fenced = _is_done(close_fence, home, locked=False)
    with ExitStack() as held:
        _hold_upload_lock(held, home, on_wait)
        with suppress(Unusable):  # if file locks do not work there, no other process can hold one either
            held.enter_context(hold(home.lock, BUSY_TIMEOUT_S))
        return _wipe_state(home, pages, fenced=fenced)


def _hold_upload_lock(held: ExitStack, home: Home, on_wait: Callable[[], None]) -> None:
    if not os.path.lexists(home.upload_lock):
        return  # each upload creates it first, and from now on reads a closed fence
    with suppress(Unusable):
        try:
            held.enter_context(hold(home.upload_lock, 0))
        except Busy:
            on_wait()
            held.enter_context(hold(home.upload_lock, UPLOAD_WAIT_S))


def _wipe_state(home: Home, pages: tuple[tuple[str, ...], tuple[str, ...]], *, fenced: bool) -> Erased:
    before, markers, receivers = _read_contents(home)
    exports = remove_exports(home)
    # If the fence could not be closed before, a row could still be added after the last one was deleted.
    emptied = (fenced or _is_done(close_fence, home)) and _is_done(empty_tables, home)
    removed, left = _remove(home, _kept(home) if emptied else frozenset())
    if left or not emptied:
        time.sleep(2 * LEASE_S)  # by then each process that had the file open has noticed its removal, or the choice
    left = tuple(path for path in left if not _truncate(path))
    # A path can name a project, so no file of ours may still contain it.
    paths = map(os.fsencode, (*exports.removed, *exports.left, *exports.missing))
    return Erased(
        home,
        before,
        (*exports.removed, *removed, *pages[0]),
        (*left, *pages[1]),
        (*markers, *paths),
        receivers,
        (*exports.left, *exports.missing),
    )


def _remove_foreign(home: Home) -> None:
    """Remove links, FIFOs and hard links from the state directory; none is ours, and their targets are not touched."""
    for entry in os.scandir(home.state):
        is_ours = is_lockable if entry.path in (home.lock, home.upload_lock) else is_plain
        if not (entry.is_dir(follow_symlinks=False) or is_ours(entry.path)):
            os.unlink(entry.path)


def _read_contents(home: Home) -> tuple[Accounts, tuple[bytes, ...], tuple[str, ...]]:
    """The counts, the markers and the receivers, which are read before the rows are deleted."""
    with suppress(*UNWIPEABLE), opened(home, locked=True) as connection:
        return query_accounts(connection), read_markers(connection), read_receivers(connection)
    return Accounts(), (), ()


def _is_done(act: Callable[[sqlite3.Connection], None], home: Home, *, locked: bool = True) -> bool:
    """Run `act` on the spool; False if SQLite cannot, because there is no spool, it is damaged or the disk is full."""
    try:
        with opened(home, locked=locked) as connection:
            act(connection)
        return True
    except UNWIPEABLE:
        return False


def _remove(home: Home, kept: frozenset[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Remove all spools, also incomplete, quarantined and replaced ones, and the page, but not the names in `kept`."""
    names = [name for name in sorted(os.listdir(home.state)) if name.startswith(SPOOL) and name not in kept]
    return remove_files(os.path.join(home.state, name) for name in names)


def _kept(home: Home) -> frozenset[str]:
    """The files of an emptied spool, and the markers, without which its path would be that of a replaced one."""
    *replaced, spool = map(os.path.basename, home.spools)
    return frozenset([*(spool + suffix for suffix in ("", *SIDE_SUFFIXES)), *(name + REPLACED for name in replaced)])


def _truncate(path: str) -> bool:
    """Empty a file that Windows does not remove while a process has it open; False if something may be left in it.

    That process reads the choice before its next record. The index of a WAL cannot be truncated, but contains only
    numbers of pages and checksums.
    """
    with suppress(OSError):
        if sys.platform == "win32" and not path.endswith("-shm"):
            os.truncate(path, 0)
    return sys.platform == "win32" and (path.endswith("-shm") or not os.path.getsize(path))


def _remove_pages() -> tuple[tuple[str, ...], tuple[str, ...]]:
    directories = find_page_directories()
    removed_and_left = remove_files(
        os.path.join(directory, name) for directory in directories for name in os.listdir(directory)
    )
    for directory in directories:
        with suppress(OSError):
            os.rmdir(directory)
    return removed_and_left


def remove_files(paths: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Remove files; return the paths that were removed, and those that could not be."""
    existing = [path for path in paths if os.path.lexists(path)]
    for path in existing:
        with suppress(OSError):
            os.unlink(path)
    left = tuple(filter(os.path.lexists, existing))
    return tuple(path for path in existing if path not in left), left
