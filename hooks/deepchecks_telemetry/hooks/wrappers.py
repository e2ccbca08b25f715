"""Wraps a method of deepchecks so that each outermost call is told once, and nothing else about the call changes.

Plain functions under `functools.wraps`: a wrapt proxy makes `check.run` unpicklable and is lost on a reload.
"""

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

Method = Callable[..., Any]
Wrapped = TypeVar("Wrapped", bound=Method)

MARK = "__deepchecks_telemetry__"


class _Depth(threading.local):
    """What this thread is inside of: only the outermost call of a kind is a person's own."""

    running = False
    exporting = False

    def __reduce__(self) -> str:
        # cloudpickle takes a class whose module was reloaded by value, our wrapper and what it names included.
        return "_inside"


_inside = _Depth()


@functools.cache
def _recorder() -> Callable[[str], bool]:
    # Here and cached, not at the top: a process that attaches and never imports deepchecks must not load the spool.
    from deepchecks_telemetry.spool import record

    return record


def emit(event: str) -> bool:
    """Record the event, if it can be; whatever goes wrong stays here."""
    try:
        return _recorder()(event)
    except Exception:  # noqa: BLE001 - `record` never raises, but it may have been uninstalled under the host
        return False


def count_run(method: Method, event: str) -> Method:
    """Tell at entry: a check that raises was run."""

    @functools.wraps(method)
    def run(*args: Any, **kwargs: Any) -> Any:
        if _inside.running:
            return method(*args, **kwargs)
        _inside.running = True
        try:
            emit(event)
            return method(*args, **kwargs)
        finally:
            _inside.running = False

    return _marked(run)


def count_export(method: Method, event: str) -> Method:
    """Tell after success; without an event, only keep what happens inside from being told."""

    @functools.wraps(method)
    def export(*args: Any, **kwargs: Any) -> Any:
        if _inside.exporting:
            return method(*args, **kwargs)
        _inside.exporting = True
        try:
            result = method(*args, **kwargs)
        finally:
            _inside.exporting = False
        if event:
            emit(event)
        return result

    return _marked(export)


def is_wrapped(method: object) -> bool:
    """Whether the method already carries our wrapper."""
    return hasattr(method, MARK)


def _marked(function: Wrapped) -> Wrapped:
    # `warnings` counts its stacklevel over frames whose file name has both words below (true of 3.10 to 3.14). One more
    # frame would move deepchecks' own deprecations from the user's line to ours, where they are not shown by default.
    code = function.__code__
    function.__code__ = code.replace(co_filename=f"{__file__} (importlib, _bootstrap)")
    setattr(function, MARK, True)
    return function
