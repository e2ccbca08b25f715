"""Finds and removes the identifier that the request of the released deepchecks left behind."""

from pathlib import Path

from deepchecks_telemetry.hooks.compatibility import deepchecks_folder
from deepchecks_telemetry.hooks.errors import HooksError


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
