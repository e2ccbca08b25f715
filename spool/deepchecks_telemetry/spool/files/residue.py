"""What is still found of what was recorded: in the files of this user's directories, and in pages that `view` has made."""

import os
import stat
import sys
from collections.abc import Iterable, Iterator

from deepchecks_telemetry.spool.catalogue import EVENTS
from deepchecks_telemetry.spool.files.paths import Home

PAGE = "spool.db.view.html"  # begins as all that `disable` takes away with the spool
PAGES = "deepchecks-telemetry-view-"  # directories under the temporary one, for a page where there is no state directory


def find_residue(home: Home, markers: Iterable[bytes] = ()) -> tuple[int, list[str]]:
    """How many files of ours were read, and the paths of those that still hold an event's name or a marker.

    Never call it in a process that has the spool open: closing a file drops SQLite's locks on it, and another
    process's acknowledged row is lost.
    """
    wanted = (*markers, *(event.name.encode() for event in EVENTS))
    tops = [directory for place in home.with_default for directory in (place.state, place.config)]
    files = dict.fromkeys(path for top in (*tops, *find_page_directories()) for path in _files(top))
    return len(files), [path for path in files if _holds(path, wanted)]


def make_page_directory() -> str:
    """The one that this user has already, or a new one under a random name."""
    import tempfile

    return next(iter(find_page_directories()), None) or tempfile.mkdtemp(prefix=PAGES)


def find_page_directories() -> list[str]:
    """The directories of this user that `view` has made under the temporary one."""
    import tempfile

    top = tempfile.gettempdir()
    paths = [os.path.join(top, name) for name in sorted(os.listdir(top)) if name.startswith(PAGES)]
    return list(filter(_is_page_directory, paths))


def _is_page_directory(path: str) -> bool:
    """Whether it is a directory of this user's with nothing in it but a page."""
    try:
        found = os.lstat(path)
        mine = sys.platform == "win32" or found.st_uid == os.geteuid()
        return stat.S_ISDIR(found.st_mode) and mine and not set(os.listdir(path)) - {PAGE}
    except OSError:
        return False


def _files(top: str) -> Iterator[str]:
    for directory, _, names in os.walk(top):
        yield from (os.path.join(directory, name) for name in names)


def _holds(path: str, markers: Iterable[bytes]) -> bool:
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return False  # a link's file is not ours, a FIFO has no bytes and keeps its reader waiting
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:  # SQLite removes its files beside a database with the last connection
        return False
    return any(marker in content for marker in markers)
