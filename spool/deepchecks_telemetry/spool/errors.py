"""The exceptions of this package, one class for each case that callers handle differently, and `is_host_exception`.

SpoolError
├── Unusable    the directory, the file or its lock cannot be used; the message says why
├── Busy        another process or thread held a lock for longer than the time limit
├── Damaged     the file is not a valid spool, or it is damaged
└── Outdated    the spool was written by a version that this one cannot read
"""

import sys
from collections.abc import Iterator
from types import CodeType, FrameType

OURS = "deepchecks_telemetry"


class SpoolError(Exception):
    """Base class; its text is one sentence for a person that says what happened."""


class Unusable(SpoolError):
    """The directory, the file or its lock cannot be used."""


class Busy(SpoolError):
    """A lock was held by another process or thread for longer than the time limit."""


class Damaged(SpoolError):
    """The file is not a valid spool, or it is damaged."""


class Outdated(SpoolError):
    """The spool was written by a newer version than this one."""


def is_host_exception(error: BaseException) -> bool:
    """Whether an exception that was raised while our code ran belongs to the host, so that it must reach the host.

    True if a signal handler raised it (a timeout by `signal.alarm`, for example), or if it was sent to this thread and
    its class is defined by the host. A frame of the host's code is not enough, because a patched `open`, an audit hook
    or a broken module in `sys.path` also raise below our code, and those errors must not reach the host.
    Not recognised: a handler written in C, a handler that both deletes its frame argument and uninstalls itself, and an
    exception of a built-in class that was sent to this thread.
    """
    frames = list(_frames(error))
    if any(map(_is_handler, frames)):
        return True
    # `PyThreadState_SetAsyncExc` adds no frame, so only the class can be checked. Code below ours that raises an
    # exception of its own class is in the traceback.
    defined_in = _root(type(error).__module__)
    return not _is_ours(defined_in) and defined_in not in {_root(frame.f_globals.get("__name__")) for frame in frames}


def raise_if_hosts(error: BaseException) -> None:
    """Raise `error`, or the exception in its chain of causes, that belongs to the host; return if none does."""
    cause: BaseException | None = error
    try:
        while cause is not None:
            if is_host_exception(cause):
                raise cause
            cause = cause.__cause__
    finally:
        del error, cause  # otherwise exception, traceback and this frame form a cycle that keeps a connection open


def _frames(error: BaseException) -> Iterator[FrameType]:
    """The frames from the one that caught the exception to the one that raised it."""
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _is_handler(frame: FrameType) -> bool:
    """Whether Python itself called the function, with a frame argument: a signal handler, trace or profile function.

    No function that our code calls gets a frame. A handler may have deleted the argument (`del signum, frame`).
    """
    if _root(frame.f_globals.get("__name__")) == OURS:
        return (
            False  # its `f_locals` is not read, because that copies the locals into a dictionary and keeps them alive
        )
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 0x04)  # CO_VARARGS: one name for *args
    for name in code.co_varnames[:count]:
        value = frame.f_locals.get(name)
        if any(isinstance(item, FrameType) for item in (value if isinstance(value, tuple) else (value,))):
            return True
    return code in _installed_handlers()


def _installed_handlers() -> Iterator[CodeType | None]:
    """The code of every installed signal handler that is written in Python."""
    import signal  # on the error path only

    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if callable(handler):
            function = getattr(handler, "func", handler)  # functools.partial
            function = getattr(function, "__func__", function)  # a bound method
            yield getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)


def _root(module: str | None) -> str:
    return (module or "").partition(".")[0]


def _is_ours(root: str) -> bool:
    """Whether a top-level module is this package, in the standard library, or used in place of sqlite3."""
    sqlite3 = getattr(sys.modules.get("sqlite3"), "Error", Exception)  # some hosts put pysqlite3 under that name
    return root in {OURS, _root(sqlite3.__module__)} or root in sys.stdlib_module_names
