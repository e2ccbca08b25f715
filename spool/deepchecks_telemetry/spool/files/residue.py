"""Searches the files of this user's directories, and pages that `view` has written, for what was recorded."""

import os
import stat
import sys
from collections.abc import Iterable

from deepchecks_telemetry.spool.catalogue import EVENTS
from deepchecks_telemetry.spool.files.paths import Home

PAGE = "spool.db.view.html"  # with the prefix of all files that `disable` removes with the spool
PAGES = "deepchecks-telemetry-view-"  # prefix of a temporary directory for the page, if there is no state directory


def find_residue(home: Home, markers: Iterable[bytes] = ()) -> tuple[int, list[str]]:
    """How many of our files were read, and the paths of those that contain the name of an event or a marker.

    Never call it in a process that has the spool open: closing a file drops SQLite's locks on it, and an acknowledged
    row of another process is lost.
    """
    wanted = (*markers, *(event.name.encode() for event in EVENTS))
    files = list_files(home)
    return len(files), [path for path in files if _contains(path, wanted)]


def list_files(home: Home) -> list[str]:
    """Every file in this user's directories, and the pages that `view` has written elsewhere."""
    tops = [directory for target in home.with_default for directory in (target.state, target.config)]
    walks = (walk for top in (*tops, *find_page_directories()) for walk in os.walk(top))
    return list(dict.fromkeys(os.path.join(directory, name) for directory, _, names in walks for name in names))


def make_page_directory() -> str:
    """The temporary directory that this user already has for the page, or a new one under a random name."""
    import tempfile

    return next(iter(find_page_directories()), None) or tempfile.mkdtemp(prefix=PAGES)


def find_page_directories() -> list[str]:
    """The directories of this user that `view` has created in the system's temporary directory."""
    import tempfile

    top = tempfile.gettempdir()
    paths = [os.path.join(top, name) for name in sorted(os.listdir(top)) if name.startswith(PAGES)]
    return list(filter(_is_page_directory, paths))


def _is_page_directory(path: str) -> bool:
    """Whether it is a directory of this user's that contains nothing but a page."""
    try:
        status = os.lstat(path)
        is_mine = sys.platform == "win32" or status.st_uid == os.geteuid()
        return stat.S_ISDIR(status.st_mode) and is_mine and not set(os.listdir(path)) - {PAGE}
    except OSError:
        return False


def _contains(path: str, markers: Iterable[bytes]) -> bool:
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return False  # the target of a link is not ours; a FIFO stores nothing and blocks its reader
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:  # SQLite removes the files beside a database with the last connection
        return False
    return any(marker in content for marker in markers)
