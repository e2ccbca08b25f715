"""The error of the command line's side of hooks, and what separates our errors from the host's in a host program.

HooksError    a file of the environment could not be written or removed
"""

from types import TracebackType


class HooksError(Exception):
    """Its text says what happened, then what to do about it."""


def is_host_exception(error: BaseException) -> bool:
    """As `spool.errors.is_host_exception`, which is imported only when there is an exception; False without a spool."""
    try:
        from deepchecks_telemetry.spool.errors import is_host_exception as is_raised_by_host
    except Exception:  # noqa: BLE001 - uninstalled under the running host, or a module that the spool needs is broken
        return False
    return is_raised_by_host(error)


class SuppressOwnErrors:
    """Suppresses what our own code raises, known or unknown, and lets through what the host's signal handlers raise."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> bool:
        """Suppress every `Exception` that is not the host's."""
        return isinstance(error, Exception) and not is_host_exception(error)
