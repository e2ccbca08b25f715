"""Every file that we write outside our own directories is listed before it exists, so that `disable` can remove it.

The list is a file beside the spool and not a table in it, because it must survive damage to the spool, and no database
page may keep a path, which can name a project. It is read and written under `upload.lock` only.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass

from deepchecks_telemetry.spool.choice import write_private
from deepchecks_telemetry.spool.errors import SpoolError, Unusable
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.regular import SIDE_SUFFIXES, read_plain

LIST = "exports.jsonl"
REMOVED, LEFT, MISSING = "removed", "left", "missing"
MAX_LISTED = 10_000  # 27 years of one file a day, some 3 MB; older files are no longer listed
MAX_LIST_BYTES = 2**27  # 10,000 of the longest paths that Linux allows, each byte escaped
LEDGER_LOCK_S = 1.0  # `deliver` holds the lock for as long as it sends
PART = re.compile(r"\.[0-9a-f]{12}\.part")  # the suffix of the file that `uploader/offline/export.py` writes first
BEGINNING = b'{"resourceLogs":[{"scopeLogs":['  # of our requests; the digest alone could be that of any file


@dataclass(frozen=True, slots=True)
class Export:
    """A file outside our directories: its path, the temporary path it is written to first, its SHA-256."""

    path: str
    part: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Removed:
    """Paths: `removed`; `left`, changed or not removable; `missing`, which may be on a disk that is not connected."""

    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def find_ledger(home: Home) -> str:
    """The ledger of `deliver`; not in this user's state directory, because it is about batches of other machines."""
    return os.path.join(os.path.dirname(home.config), "courier", "ledger.db")


def list_export(home: Home, export: Export) -> None:
    """Add a file to the list before it is written; remove what a killed export left in the same directory."""
    listed = read_list(home)
    _remove_stale_parts(listed, os.path.dirname(export.path))
    same = (export.path, export.sha256)
    kept = [old for old in listed if (old.path, old.sha256) != same or os.path.lexists(old.part)]
    lines = [json.dumps(astuple(entry)) + "\n" for entry in [*kept, export][-MAX_LISTED:]]
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


def _remove_stale_parts(listed: Sequence[Export], directory: str) -> None:
    """Remove temporary files of killed exports, with one `listdir` instead of 10,000 `stat` calls on a file server."""
    with suppress(OSError):
        names = set(os.listdir(directory))
        for export in listed:
            parent, name = os.path.split(export.part)
            if parent == directory and name in names and _is_part(export):
                with suppress(OSError):
                    os.unlink(export.part)


def remove_exports(home: Home) -> Removed:
    """Remove every unchanged export, the ledger of `deliver`, and last the list; the caller holds `upload.lock`.

    In this order, so that after a `disable` that was killed the next one finds the rest.
    """
    try:
        results = _remove_files(read_list(home))
    except Unusable:
        results = {_list_path(home): LEFT}
    results |= _remove_ledger(find_ledger(home))
    for path in _list_files(home):
        if _unlink(path) == LEFT:
            results[path] = LEFT
    return Removed(*(tuple(path for path in results if results[path] == result) for result in (REMOVED, LEFT, MISSING)))


def _list_files(home: Home) -> list[str]:
    """The list, and temporary files of it that a crash left."""
    names = os.listdir(home.state) if os.path.isdir(home.state) else []
    return [os.path.join(home.state, name) for name in names if name.startswith(LIST)]


def _remove_files(exports: Sequence[Export]) -> dict[str, str]:
    """Remove files by our temporary names, or with our content; an edited list can name any file."""
    results: dict[str, str] = {}
    for export in exports:
        if _is_part(export) and os.path.lexists(export.part):
            results[export.part] = _unlink(export.part)
        if results.get(export.path) != REMOVED:
            results[export.path] = _remove(export)
    return results


def _remove(export: Export) -> str:
    try:
        os.lstat(export.path)
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except OSError:
        return LEFT
    return _unlink(export.path) if _has_our_content(export) else LEFT


def _unlink(path: str) -> str:
    try:
        os.unlink(path)
    except OSError:
        return LEFT
    return REMOVED


def _remove_ledger(ledger: str) -> dict[str, str]:
    """Remove the ledger of `deliver`, unless one is running; its empty lock file stays, like those of the spool."""
    paths = [ledger + suffix for suffix in ("", *SIDE_SUFFIXES) if os.path.lexists(ledger + suffix)]
    if not paths:
        return {}
    try:
        with hold(f"{ledger}.lock", LEDGER_LOCK_S):
            return {path: _unlink(path) for path in paths}
    except (SpoolError, OSError):
        return dict.fromkeys(paths, LEFT)


def _is_part(export: Export) -> bool:
    path, suffix = export.part[: len(export.path)], export.part[len(export.path) :]
    return path == export.path and PART.fullmatch(suffix) is not None


def _has_our_content(export: Export) -> bool:
    try:
        if not stat.S_ISREG(os.lstat(export.path).st_mode):
            return False
        with open(export.path, "rb") as file:
            first = file.read(len(BEGINNING))
            if first != BEGINNING:
                return False
            digest = hashlib.sha256(first)
            for chunk in iter(lambda: file.read(65_536), b""):
                digest.update(chunk)
    except OSError:
        return False
    return digest.hexdigest() == export.sha256
