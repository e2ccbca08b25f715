"""The exception of the functions for commands, and the separation of our errors from the host's in a host program.

HooksError   a file of the environment cannot be written or removed
"""

from types import TracebackType


class HooksError(Exception):
    """Its text says what happened, then what to do about it."""


def is_host_exception(error: BaseException) -> bool:
    """Calls `spool.errors.is_host_exception`, imported only when needed; False if the spool cannot be imported."""
    try:
        from deepchecks_telemetry.spool.errors import is_host_exception as in_spool
    except Exception:  # noqa: BLE001 - uninstalled while the host runs, or a module that the spool needs is broken
        return False
    return in_spool(error)


class SuppressOwnErrors:
    """Suppresses every exception of our own code, and passes on what the host's signal handlers raise."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> bool:
        """Suppress every `Exception` that is not the host's."""
        return isinstance(error, Exception) and not is_host_exception(error)
