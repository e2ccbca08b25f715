"""Turns off the request that the released deepchecks makes at import, and finds the identifier that it left behind.

Without the request, users do not see the message "a newer version is available".
"""

from pathlib import Path
from types import ModuleType

from deepchecks_telemetry.hooks.compatibility import deepchecks_folder
from deepchecks_telemetry.hooks.errors import HooksError
from deepchecks_telemetry.hooks.targets import Target


def disable_builtin_telemetry(module: ModuleType, target: Target) -> None:
    """Set the library's own flag in its module, in this process only.

    Not its environment variables: the user's program and its children would see them, and they also turn this package
    off.
    """
    if hasattr(module, target.name):
        setattr(module, target.name, True)


def old_user_id() -> Path | None:
    """The identifier file that deepchecks' request wrote next to its code, one per environment; None if absent."""
    folder = deepchecks_folder()
    path = folder / ".user_id" if folder else None
    return path if path and path.is_file() else None


def remove_user_id() -> Path | None:
    """Remove that file and return its path; None if there was no such file. Raises `HooksError`."""
    path = old_user_id()
    try:
        if path:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise HooksError(
            f"Cannot remove {path}: {error.strerror}. Run this again as the owner of the environment."
        ) from error
    return path
