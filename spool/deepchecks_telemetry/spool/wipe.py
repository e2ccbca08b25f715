"""`disable`: after it nothing is recorded or sent, and no byte of what was recorded is left in any file of ours.

The order is the guarantee: the choice first, on disk; then the fence, in one write transaction; then the rows; then
VACUUM, which rewrites the file; then the TRUNCATE checkpoint, without which the WAL keeps every byte. Where SQLite
cannot write (a full disk, a damaged file), the files themselves are removed, which takes no space.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from deepchecks_telemetry.spool.batches.export_files import Removed, remove_exports
from deepchecks_telemetry.spool.choice import choose_off
from deepchecks_telemetry.spool.consent.decision import read_choice
from deepchecks_telemetry.spool.db.connection import BUSY_TIMEOUT_S, opened
from deepchecks_telemetry.spool.db.emptying import close_fence, empty_tables, read_markers, read_receivers
from deepchecks_telemetry.spool.errors import Busy, Damaged, Outdated, Unusable
from deepchecks_telemetry.spool.files.directory import check_owner
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.quarantine import LEASE_S, find_set_aside
from deepchecks_telemetry.spool.files.regular import is_hard_linked_database, is_lockable, is_plain
from deepchecks_telemetry.spool.files.residue import find_page_directories, find_residue
from deepchecks_telemetry.spool.recovery.hard_links import separate
from deepchecks_telemetry.spool.stats import Accounts, query_accounts

__all__ = ["Erased", "erase", "erase_all", "find_residue", "remove_files"]

UPLOAD_WAIT_S = 45.0  # more than an upload's own total deadline
UNWIPEABLE = (FileNotFoundError, Damaged, Outdated, Unusable)


@dataclass(frozen=True, slots=True)
class Erased:
    """What `disable` took away in one place, and byte strings that must be found nowhere any more.

    `removed` are the paths of files that are gone, `left` of those that could not be removed, `exports_left` of exports that
    were not ours any more, or not there: exports_left away, or edited. `receivers` are endpoints that had received batches.
    """

    place: Home
    before: Accounts = field(default_factory=Accounts)
    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    markers: tuple[bytes, ...] = ()
    receivers: tuple[str, ...] = ()
    exports_left: tuple[str, ...] = ()

    @property
    def files(self) -> int:
        """How many files are gone."""
        return len(self.removed)


@dataclass(frozen=True, slots=True)
class _Contents:
    """What is read before the rows go."""

    before: Accounts = field(default_factory=Accounts)
    markers: tuple[bytes, ...] = ()
    receivers: tuple[str, ...] = ()


def erase_all(home: Home, *, on_wait: Callable[[], None] = lambda: None) -> list[Erased]:
    """Choose off and wipe in the directories in force and in the default ones; each is done before an error leaves."""
    erased: list[Erased] = []
    errors: list[Exception] = []
    for place in _distinct(home.with_default):
        try:
            erased.append(erase(place, on_wait=on_wait))
        except (Busy, Unusable) as error:
            errors.append(error)
    time.sleep(2 * LEASE_S)  # by then each process with other directories has seen the choice in the default one
    if errors:
        raise errors[0]
    return erased


def _distinct(places: Iterable[Home]) -> list[Home]:
    """The places, one of each: HOME may name the registered home directory through a link."""
    return list({os.path.realpath(place.config): place for place in reversed([*places])}.values())[::-1]


def erase(home: Home, *, on_wait: Callable[[], None] = lambda: None) -> Erased:
    """Choose off and wipe in one place, or raise `Busy`; `on_wait` is called before waiting for an upload in flight.

    Where the choice cannot be written, all else is done before `Unusable` says so.
    """
    whole = False
    with suppress(Unusable):
        whole = choose_off(home)
    erased = _wipe(home, on_wait)
    try:
        if not whole:
            choose_off(home)  # there may be space for it now
    except Unusable as error:
        raise Unusable(f"the recorded data was wiped, but {error}: {_what_holds(home)}") from error
    return erased


def _what_holds(home: Home) -> str:
    if os.path.exists(home.spool) and read_choice(home).mode is None:
        return "only the closed spool keeps telemetry off, so run disable again when the file can be written"
    return "telemetry can record again"


def _wipe(home: Home, on_wait: Callable[[], None]) -> Erased:
    pages = _remove_pages()
    if not os.path.lexists(home.state):
        exports = remove_exports(home)
        return Erased(home, removed=(*exports.removed, *pages[0]), left=(*exports.left, *pages[1]))
    check_owner(home.state, "the state directory")
    if is_hard_linked_database(home.spool) or find_set_aside(home):
        separate(home, BUSY_TIMEOUT_S)  # its exports must be known; what the backup has is not ours
    _unplant(home)
    fenced = _is_done(close_fence, home, locked=False)
    with ExitStack() as held:
        _hold_upload_lock(held, home, on_wait)
        with suppress(Unusable):  # no lock works there, so nobody else can hold it either
            held.enter_context(hold(home.lock, BUSY_TIMEOUT_S))
        return _wipe_state(home, pages, fenced=fenced)


def _hold_upload_lock(held: ExitStack, home: Home, on_wait: Callable[[], None]) -> None:
    if not os.path.lexists(home.upload_lock):
        return  # each upload makes it first, and from now on finds the fence closed
    with suppress(Unusable):
        try:
            held.enter_context(hold(home.upload_lock, 0))
        except Busy:
            on_wait()
            held.enter_context(hold(home.upload_lock, UPLOAD_WAIT_S))


def _wipe_state(home: Home, pages: tuple[tuple[str, ...], tuple[str, ...]], *, fenced: bool) -> Erased:
    contents = _read_contents(home) or _Contents()
    exports = remove_exports(home)
    # Where the fence could not be closed before, a row could still come after the last one is gone.
    emptied = (fenced or _is_done(close_fence, home)) and _is_done(empty_tables, home)
    removed, left = _remove(home, _is_leftover if emptied else _is_spool)
    if not emptied:
        time.sleep(2 * LEASE_S)  # by then each process that had the file open has seen that it is gone
    return Erased(
        home,
        contents.before,
        (*exports.removed, *removed, *pages[0]),
        (*left, *pages[1]),
        (*contents.markers, *_paths(exports)),
        contents.receivers,
        (*exports.left, *exports.missing),
    )


def _paths(exports: Removed) -> tuple[bytes, ...]:
    """A path can name a project: no file of ours may still have it."""
    return tuple(os.fsencode(path) for path in (*exports.removed, *exports.left, *exports.missing))


def _unplant(home: Home) -> None:
    """Take away the links, FIFOs and second names in our directory: none is ours, and what they lead to stays."""
    for entry in os.scandir(home.state):
        fine = is_lockable if entry.path in (home.lock, home.upload_lock) else is_plain
        if not (entry.is_dir(follow_symlinks=False) or fine(entry.path)):
            os.unlink(entry.path)


def _read_contents(home: Home) -> _Contents | None:
    with suppress(*UNWIPEABLE), opened(home, locked=True) as connection:
        return _Contents(
            query_accounts(connection),
            read_markers(connection),
            read_receivers(connection),
        )
    return None


def _is_done(act: Callable[[sqlite3.Connection], None], home: Home, *, locked: bool = True) -> bool:
    """Do it in the spool; False where SQLite cannot: there is no spool, it is damaged, the disk is full."""
    try:
        with opened(home, locked=locked) as connection:
            act(connection)
        return True
    except UNWIPEABLE:
        return False


def _remove(home: Home, belongs: Callable[[str], bool]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return remove_files(os.path.join(home.state, name) for name in sorted(os.listdir(home.state)) if belongs(name))


def _remove_pages() -> tuple[tuple[str, ...], tuple[str, ...]]:
    directories = find_page_directories()
    done = remove_files(os.path.join(directory, name) for directory in directories for name in os.listdir(directory))
    for directory in directories:
        with suppress(OSError):
            os.rmdir(directory)
    return done


def remove_files(paths: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Remove files: the paths of those that are gone now, and of those that are still there."""
    there = [path for path in paths if os.path.lexists(path)]
    for path in there:
        with suppress(OSError):
            os.unlink(path)
    left = tuple(filter(os.path.lexists, there))
    return tuple(path for path in there if path not in left), left


def _is_spool(name: str) -> bool:
    return name.startswith("spool.db")


def _is_leftover(name: str) -> bool:
    """Half-made spools (`spool.db.new`) and quarantined ones (`spool.db.damaged…`)."""
    return name.startswith("spool.db.")
