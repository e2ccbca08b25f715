"""Wraps a method of deepchecks so that each outermost call is counted once, and nothing else about the call changes.

The wrappers are functions with `functools.wraps`. A wrapt proxy would make `check.run` unpicklable and is lost on a
reload.
"""

import functools
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeVar

from deepchecks_telemetry.hooks.errors import is_host_exception

Method = Callable[..., Any]
Wrapped = TypeVar("Wrapped", bound=Method)

MARK = "__deepchecks_telemetry__"  # an attribute that identifies wrappers, also those of another copy of this module


class Inside(threading.local):
    """Which kinds of call this thread is inside of; only the outermost call of each kind is counted."""

    running = False
    exporting = False


INSIDE = Inside()


@functools.cache
def _recorder() -> Callable[[str], bool]:
    # Not imported at the top: a process that attaches and never imports deepchecks must not load the spool.
    from deepchecks_telemetry.spool import record

    return record


def emit(event: str) -> bool:
    """Record the event, if possible; raises only exceptions of the host's signal handlers."""
    try:
        return _recorder()(event)
    except Exception as error:  # `record` raises no own error, but may be uninstalled while the host runs
        if is_host_exception(error):
            raise
        return False


class Counter:
    """The only object of this package that a wrapper refers to.

    cloudpickle can pickle deepchecks by value (`register_pickle_by_value`, or a class whose module was reloaded), and
    the wrappers with it. The counter of such a copy is a namespace that is always inside a call, so the copy only calls
    the method, whether or not this package is installed where it is unpickled.
    """

    __slots__ = ("event", "inside")

    def __init__(self, event: str, inside: Inside) -> None:
        self.event = event
        self.inside = inside

    def __reduce__(self) -> tuple[type, tuple[()], dict[str, SimpleNamespace]]:
        return SimpleNamespace, (), {"inside": SimpleNamespace(running=True, exporting=True)}

    def count(self) -> None:
        """Record the event, if there is one."""
        if self.event:
            emit(self.event)


def count_run(method: Method, event: str, inside: Inside = INSIDE) -> Method:
    """Count at the start of the call, because a check that raises was run."""
    counter = Counter(event, inside)

    # `finally` only sets an attribute and calls nothing, so no signal handler can raise before that and leave
    # `running` set forever. At the start of a context manager's __exit__ one could.
    @functools.wraps(method)
    def run(*args: Any, **kwargs: Any) -> Any:
        inside = counter.inside
        if inside.running:
            return method(*args, **kwargs)
        try:
            inside.running = True
            counter.count()
            return method(*args, **kwargs)
        finally:
            inside.running = False

    return _marked(run)


def count_export(method: Method, event: str, inside: Inside = INSIDE) -> Method:
    """Count after success; without an event, only prevent nested exports from being counted."""
    counter = Counter(event, inside)

    @functools.wraps(method)
    def export(*args: Any, **kwargs: Any) -> Any:
        inside = counter.inside
        if inside.exporting:
            return method(*args, **kwargs)
        try:
            inside.exporting = True
            result = method(*args, **kwargs)
        finally:
            inside.exporting = False
        counter.count()
        return result

    return _marked(export)


def is_wrapped(method: object) -> bool:
    """Whether the method is already wrapped, by this copy of the module or an older one."""
    return hasattr(method, MARK)


def _marked(function: Wrapped) -> Wrapped:
    # `warnings` skips frames whose file name has both words below when it counts the stacklevel (true of 3.10 to 3.14).
    # Otherwise deprecation warnings of deepchecks would point to the wrapper, where they are not shown by default.
    code = function.__code__
    function.__code__ = code.replace(co_filename=f"{__file__} (importlib, _bootstrap)")
    setattr(function, MARK, True)
    return function
