"""Runs at the start of each interpreter of an attached environment; attaches when deepchecks is first imported.

This file is copied into the attach file, and also runs after this package was uninstalled, so it does not import the
package before it attaches.
"""

import os
import sys

# A file whose modification time identifies the installation; pth/file.py sets both when it copies this code.
INSTALLATION = ("", 0)


class DeepchecksTelemetryAttach:
    """The first finder in `sys.meta_path` until deepchecks is looked up; then it removes itself."""

    is_deepchecks_telemetry_finder = True  # as in import_hook.py, so that the two finders never call each other

    @staticmethod
    def find_spec(name: str, path: "object" = None, target: "object" = None) -> "object":
        """Attach, then find deepchecks through the other finders; None for every other module."""
        if name != "deepchecks":
            return None
        try:
            sys.meta_path.remove(DeepchecksTelemetryAttach)  # type: ignore[arg-type]
            if is_same_installation():
                from deepchecks_telemetry.hooks import attach

                attach()
        except Exception as error:  # if this package is uninstalled or damaged, deepchecks is imported without it
            if is_from_signal_handler(error):
                raise
        # The list that the import system iterates over has changed, so it could skip a finder: call all of them here.
        for finder in list(sys.meta_path):
            find_spec = getattr(finder, "find_spec", None)
            spec = find_spec(name, path, target) if find_spec else None
            if spec is not None:
                return spec
        return None


def is_same_installation() -> bool:
    """Whether this package is still installed as it was when the attach file was written."""
    name, modified = INSTALLATION
    for folder in sys.path:
        try:
            return int(os.stat(os.path.join(folder, name)).st_mtime) == modified
        except (FileNotFoundError, NotADirectoryError):
            pass
    return False


def is_from_signal_handler(error: "BaseException") -> bool:
    """Whether a function with a frame as argument raised it; spool/errors.py has the full rule, but may be missing."""
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        values = [frame.f_locals.get(name) for name in frame.f_code.co_varnames]
        if any(type(frame) in map(type, value if type(value) is tuple else (value,)) for value in values):
            return True
        trace = trace.tb_next
    return False


# `site` executes the files of a virtual environment twice (true of 3.10 to 3.13).
if DeepchecksTelemetryAttach.__name__ not in [getattr(finder, "__name__", "") for finder in sys.meta_path]:
    sys.meta_path.insert(0, DeepchecksTelemetryAttach)  # type: ignore[arg-type]
