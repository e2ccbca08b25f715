"""Writes, finds and removes the attach file of this environment: one .pth file in site-packages.

The file contains everything that it needs, so it is complete or absent. `pip uninstall` does not remove it. It names
the installation that wrote it; after that is uninstalled, upgraded or reinstalled, the file does nothing.
"""

import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from deepchecks_telemetry.hooks.errors import HooksError

FILE_NAME = "deepchecks_telemetry_attach.pth"
_HEADER = """\
# Records the events of deepchecks in this environment, until deepchecks-telemetry is upgraded, reinstalled or removed.
# Written by `deepchecks telemetry attach`. To undo it, run `deepchecks telemetry detach` or delete this file.
"""


class Installation(NamedTuple):
    """One installation of this package: the RECORD of pip or uv, relative to its directory, and when it was written."""

    record: str
    # In whole seconds, because archives and container images keep no fraction (and change inode and ctime).
    modified: int


def site_packages() -> Path:
    """The directory of this environment's packages."""
    import sysconfig

    return Path(sysconfig.get_path("purelib"))


def installed_file(folder: Path | None = None) -> Path | None:
    """The attach file of this environment; None if it is absent or belongs to another installation."""
    path = (folder or site_packages()) / FILE_NAME
    return path if path.is_file() and not _is_stale(path) else None


def stale_file(folder: Path | None = None) -> Path | None:
    """An attach file that does nothing, because this package was upgraded or reinstalled; None if there is none."""
    path = (folder or site_packages()) / FILE_NAME
    return path if path.is_file() and _is_stale(path) else None


def install_file(folder: Path | None = None) -> Path:
    """Attach this environment; the file of an older installation is replaced. Raises `HooksError`."""
    from deepchecks_telemetry.spool.files.atomic import BY_UMASK, replace_file  # a host never needs it

    path = (folder or site_packages()) / FILE_NAME
    text = file_text(_installation())
    try:
        replace_file(str(path), text.encode("ascii"), permissions=BY_UMASK)
    except OSError as error:
        raise _error("write", path, error) from error
    return path


def remove_file(folder: Path | None = None) -> Path | None:
    """Detach this environment and return the removed file, stale or not; None if it was absent. Raises `HooksError`."""
    path = (folder or site_packages()) / FILE_NAME
    try:
        path.unlink()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _error("remove", path, error) from error
    return path


def file_text(installation: Installation) -> str:
    """The content of the file: `startup.py` without its comments, as one line that `site` executes."""
    import ast

    source = Path(__file__).with_name("startup.py").read_text(encoding="utf-8")
    code = ast.unparse(ast.parse(source))
    code = code.replace("INSTALLATION = ('', 0)", f"INSTALLATION = {tuple(installation)!r}")
    return f"{_HEADER}import sys; exec({code!r}, {{'__name__': 'deepchecks_telemetry_attach'}})\n"


def _is_stale(path: Path) -> bool:
    try:
        return path.read_text(encoding="ascii") != file_text(_installation())
    except (OSError, UnicodeDecodeError, HooksError):
        return True


def _installation() -> Installation:
    """The installation that `import deepchecks_telemetry` finds. Raises `HooksError` if none has a RECORD."""
    for folder in map(Path, sys.path):
        with suppress(OSError):  # a directory of sys.path that this user cannot enter
            for record in sorted(folder.glob("deepchecks_telemetry-*.dist-info/RECORD")):
                return Installation(record.relative_to(folder).as_posix(), int(record.stat().st_mtime))
    raise HooksError(
        "Cannot attach: no installation of deepchecks-telemetry was found in sys.path. Install it in this environment "
        "with pip or uv, and run this again; or call deepchecks_telemetry.hooks.attach() in your program."
    )


def _error(verb: str, path: Path, error: OSError) -> HooksError:
    return HooksError(
        f"Cannot {verb} {path}: {error.strerror}. Run this again as the owner of that directory, "
        f"or in a virtual environment of your own (this one is {sys.prefix})."
    )
