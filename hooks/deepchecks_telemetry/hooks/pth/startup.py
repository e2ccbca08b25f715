"""Runs in each interpreter of an environment that opted in: attaches at the first look-up of deepchecks."""

import sys


class DeepchecksTelemetryAttach:
    """Stands first in `sys.meta_path` until then; nothing else of ours is loaded."""

    @staticmethod
    def find_spec(name: str, path: "object" = None, target: "object" = None) -> "object":
        """Attach, then find what the finders find that stand there now."""
        if name != "deepchecks":
            return None
        try:
            sys.meta_path.remove(DeepchecksTelemetryAttach)  # type: ignore[arg-type]
            from deepchecks_telemetry.hooks import attach

            attach()
        except Exception:  # noqa: BLE001, S110 - our package may have been uninstalled: deepchecks is imported as released
            pass
        # The import system walks the very list that has just changed: this look-up is answered here, or never by them.
        for finder in list(sys.meta_path):
            find_spec = getattr(finder, "find_spec", None)
            spec = find_spec(name, path, target) if find_spec else None
            if spec is not None:
                return spec
        return None


# `site` executes the files of a virtual environment twice (true of 3.10 to 3.13).
if DeepchecksTelemetryAttach.__name__ not in [getattr(finder, "__name__", "") for finder in sys.meta_path]:
    sys.meta_path.insert(0, DeepchecksTelemetryAttach)  # type: ignore[arg-type]
