"""The exceptions of this package, one class for each thing a caller would do differently; and which are the host's.

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
    """Base class; its text is one sentence for a person: what happened."""


class Unusable(SpoolError):
    """The directory, the file or its lock cannot be used."""


class Busy(SpoolError):
    """A lock was held by another process or thread for longer than the time limit."""


class Damaged(SpoolError):
    """The file is not a valid spool, or it is damaged."""


class Outdated(SpoolError):
    """The spool was written by a newer version than this one."""


def is_host_exception(error: BaseException) -> bool:
    """Whether an exception that was raised while our code ran is the host's own, so that it must reach the host.

    True when a signal handler raised it (a timeout by `signal.alarm`, for example), or when it was sent to this thread
    and its class is the host's. A frame of the host's code alone decides nothing: a patched `open`, an audit hook or a
    broken module in `sys.path` also raise below our code, and those errors must not reach the host.
    Not recognised: a handler written in C, a handler that both deletes its frame argument and uninstalls itself, and an
    exception of a built-in class that was sent to this thread.
    """
    frames = list(_frames(error))
    if any(map(_is_handler, frames)):
        return True
    # `PyThreadState_SetAsyncExc` adds no frame, so that only the class is left to look at; code below ours that raises
    # an exception of its own is in the traceback.
    defined_in = _root(type(error).__module__)
    return not _is_ours(defined_in) and defined_in not in {_root(frame.f_globals.get("__name__")) for frame in frames}


def raise_if_hosts(error: BaseException) -> None:
    """Raise `error`, or the exception that it was made from, where that is the host's."""
    found: BaseException | None = error
    try:
        while found is not None:
            if is_host_exception(found):
                raise found
            found = found.__cause__
    finally:
        del error, found  # else its traceback, this frame and itself are a cycle, which keeps a connection open


def _frames(error: BaseException) -> Iterator[FrameType]:
    """The frames from the one that caught the exception to the one that raised it."""
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _is_handler(frame: FrameType) -> bool:
    """Whether a function was called by Python itself with a frame: a signal handler, a trace or a profile function.

    What our code calls passes no frames. A handler may have deleted the argument (`del signum, frame`).
    """
    if _root(frame.f_globals.get("__name__")) == OURS:
        return False  # and what it holds is not copied into a dictionary, which would keep it
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 0x04)  # CO_VARARGS: one name for *args
    for name in code.co_varnames[:count]:
        value = frame.f_locals.get(name)
        if any(isinstance(each, FrameType) for each in (value if isinstance(value, tuple) else (value,))):
            return True
    return code in _installed_handlers()


def _installed_handlers() -> Iterator[CodeType | None]:
    """The code of every signal handler that is installed now, and is written in Python."""
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
    """Whether a top-level module is this package, the standard library's, or used in place of its sqlite3."""
    sqlite3 = getattr(sys.modules.get("sqlite3"), "Error", Exception)  # some hosts put pysqlite3 under that name
    return root in {OURS, _root(sqlite3.__module__)} or root in sys.stdlib_module_names
