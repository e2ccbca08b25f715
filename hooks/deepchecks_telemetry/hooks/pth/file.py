"""Keeps this environment's opt-in: one file in site-packages that pip-uninstall leaves behind without harm.

Everything is inside that one file, so that it is there whole or not at all, and it imports nothing of ours before
deepchecks is looked up.
"""

import sys
from pathlib import Path

from deepchecks_telemetry.hooks.errors import HooksError

FILE_NAME = "deepchecks_telemetry_attach.pth"
_HEADER = """\
# Lets deepchecks-telemetry see the events of deepchecks in this environment, from the import on.
# Written by `deepchecks telemetry attach`; `deepchecks telemetry detach`, or deleting this file, undoes it.
"""


def site_packages() -> Path:
    """Where this environment's packages lie."""
    import sysconfig

    return Path(sysconfig.get_path("purelib"))


def installed_file(folder: Path | None = None) -> Path | None:
    """The opt-in file of this environment; None if it did not opt in."""
    path = (folder or site_packages()) / FILE_NAME
    return path if path.is_file() else None


def install_file(folder: Path | None = None) -> Path:
    """Opt this environment in; a file of an older version is replaced. Raises `HooksError`."""
    from deepchecks_telemetry.spool.files.atomic import BY_UMASK, replace_file  # a host attaches without it

    path = (folder or site_packages()) / FILE_NAME
    try:
        replace_file(str(path), file_text().encode("ascii"), permissions=BY_UMASK)
    except OSError as error:
        raise _refused("write", path, error) from error
    return path


def remove_file(folder: Path | None = None) -> Path | None:
    """Undo the opt-in and say which file it was; None if there was none. Raises `HooksError`."""
    path = (folder or site_packages()) / FILE_NAME
    try:
        path.unlink()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refused("remove", path, error) from error
    return path


def file_text() -> str:
    """The file: `startup.py` without its comments, as the one line that `site` executes."""
    import ast

    source = Path(__file__).with_name("startup.py").read_text(encoding="utf-8")
    code = ast.unparse(ast.parse(source))
    return f"{_HEADER}import sys; exec({code!r}, {{'__name__': 'deepchecks_telemetry_attach'}})\n"


def _refused(verb: str, path: Path, error: OSError) -> HooksError:
    return HooksError(
        f"Cannot {verb} {path}: {error.strerror}. Run this again as the owner of that folder, "
        f"or in a virtual environment of your own (this one is {sys.prefix})."
    )
