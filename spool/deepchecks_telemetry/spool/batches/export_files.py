"""Every file that we wrote outside our own directories is listed before it exists, so that `disable` can remove it.

The list is a file beside the spool and not a table in it: it survives damage to the spool, and no database page keeps a
path, which can name a project. It is read and written under `upload.lock` only.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass

from deepchecks_telemetry.spool.choice import write_private
from deepchecks_telemetry.spool.errors import SpoolError, Unusable
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.regular import SIDE_SUFFIXES, read_plain

LIST = "exports.jsonl"
REMOVED, LEFT, MISSING = "removed", "left", "missing"
MAX_LISTED = 10_000  # 27 years of one file a day, some 3 MB; of older files only the owner of the directory knows
MAX_LIST_BYTES = 2**27  # 10,000 of the longest paths that Linux allows, each byte escaped
LEDGER_LOCK_S = 1.0  # `deliver` holds the lock for as long as it sends

PART = re.compile(r"\.[0-9a-f]{12}\.part")  # after the file's own name: what `uploader/offline/export.py` writes first
BEGINNING = b'{"resourceLogs":[{"scopeLogs":['  # of a request of ours; the digest alone may be that of any file


@dataclass(frozen=True, slots=True)
class Export:
    """A file outside our directories: its path, the temporary path it is written to first, its SHA-256."""

    path: str
    part: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Removed:
    """Paths: `removed`; `left`, which was changed or cannot be removed; `missing`, which may be on a disk elsewhere."""

    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def find_ledger(home: Home) -> str:
    """The courier's ledger: beside this user's own directories, because it is about other machines' batches."""
    return os.path.join(os.path.dirname(home.config), "courier", "ledger.db")


def list_export(home: Home, export: Export) -> None:
    """Add a file to the list before it is written; remove what a killed export left in the same directory."""
    listed = read_list(home)
    _remove_stale_parts(listed, os.path.dirname(export.path))
    kept = [old for old in listed if not (_is_same(old, export) and not os.path.lexists(old.part))]
    lines = [json.dumps(astuple(each)) + "\n" for each in [*kept, export][-MAX_LISTED:]]
    write_private(_list_path(home), "".join(lines))


def read_list(home: Home) -> list[Export]:
    """The files that may still exist, oldest first; raises `Unusable` where the list cannot be read."""
    try:
        text = read_plain(_list_path(home), MAX_LIST_BYTES).decode("ascii", "replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Unusable(f"the list of exports {_list_path(home)} cannot be read ({type(error).__name__})") from error
    return [export for export in map(_parse, text.splitlines()) if export]


def _list_path(home: Home) -> str:
    return os.path.join(home.state, LIST)


def _parse(line: str) -> Export | None:
    try:
        path, part, sha256 = json.loads(line)
        export = Export(path, part, sha256)
    except (ValueError, TypeError, RecursionError):
        return None
    is_text = all(isinstance(value, str) and "\0" not in value for value in astuple(export))
    return export if is_text else None


def _is_same(old: Export, new: Export) -> bool:
    return (old.path, old.sha256) == (new.path, new.sha256)


def _remove_stale_parts(listed: Sequence[Export], directory: str) -> None:
    """One `listdir`, not a look at each of 10,000 paths on somebody's file server."""
    with suppress(OSError):
        names = set(os.listdir(directory))
        for export in listed:
            here, name = os.path.split(export.part)
            if here == directory and name in names and _is_part(export):
                with suppress(OSError):
                    os.unlink(export.part)


def remove_exports(home: Home) -> Removed:
    """Remove every export that is still ours, the courier's ledger, and last the list; the caller holds `upload.lock`.

    In this order, so that a `disable` that is killed finds the rest when it is run again.
    """
    try:
        found = _remove_files(read_list(home))
    except Unusable:
        found = {_list_path(home): LEFT}
    found |= _remove_ledger(find_ledger(home))
    for path in _list_files(home):
        if _unlink(path) == LEFT:
            found[path] = LEFT
    return Removed(*(tuple(path for path in found if found[path] == state) for state in (REMOVED, LEFT, MISSING)))


def _list_files(home: Home) -> list[str]:
    """The list, and what a crash left of writing it."""
    names = os.listdir(home.state) if os.path.isdir(home.state) else []
    return [os.path.join(home.state, name) for name in names if name.startswith(LIST)]


def _remove_files(exports: Sequence[Export]) -> dict[str, str]:
    """A list that was edited can name any file: only what we alone name so, or has our bytes, is removed."""
    found: dict[str, str] = {}
    for export in exports:
        if _is_part(export) and os.path.lexists(export.part):
            found[export.part] = _unlink(export.part)
        if found.get(export.path) != REMOVED:
            found[export.path] = _remove(export)
    return found


def _remove(export: Export) -> str:
    try:
        os.lstat(export.path)
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except OSError:
        return LEFT
    return _unlink(export.path) if _is_ours(export) else LEFT


def _unlink(path: str) -> str:
    try:
        os.unlink(path)
    except OSError:
        return LEFT
    return REMOVED


def _remove_ledger(ledger: str) -> dict[str, str]:
    """The ledger of `deliver`, unless one is running; its empty lock file stays, as those of the spool do."""
    paths = [ledger + suffix for suffix in ("", *SIDE_SUFFIXES) if os.path.lexists(ledger + suffix)]
    if not paths:
        return {}
    try:
        with hold(f"{ledger}.lock", LEDGER_LOCK_S):
            return {path: _unlink(path) for path in paths}
    except (SpoolError, OSError):
        return dict.fromkeys(paths, LEFT)


def _is_part(export: Export) -> bool:
    name, random = export.part[: len(export.path)], export.part[len(export.path) :]
    return name == export.path and PART.fullmatch(random) is not None


def _is_ours(export: Export) -> bool:
    try:
        if not stat.S_ISREG(os.lstat(export.path).st_mode):
            return False
        with open(export.path, "rb") as file:
            first = file.read(len(BEGINNING))
            if first != BEGINNING:
                return False
            digest = hashlib.sha256(first)
            for chunk in _chunks(file.read):
                digest.update(chunk)
    except OSError:
        return False
    return digest.hexdigest() == export.sha256


def _chunks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    return iter(lambda: read(65_536), b"")
