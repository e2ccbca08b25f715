"""What can go wrong in the spool, one class for each thing a caller would do differently.

SpoolError
├── Unusable    the folder, the file or its lock cannot be used; the message says why
├── Busy        somebody else held a lock for longer than we were ready to wait
├── Damaged     the file is no spool of ours, or a broken one
└── Outdated    the spool was written by a version that this one cannot read
"""

import sys
from collections.abc import Iterator
from types import TracebackType

OURS = "deepchecks_telemetry"


class SpoolError(Exception):
    """Base of the room; its text is one sentence for a person: what happened."""


class Unusable(SpoolError):
    """The folder, the file or its lock cannot be used."""


class Busy(SpoolError):
    """A lock was held by somebody else for longer than we wait."""


class Damaged(SpoolError):
    """The file is no spool, or a broken one."""


class Outdated(SpoolError):
    """The spool was written by a newer version than this one."""


def is_host_exception(error: BaseException) -> bool:
    """Whether an exception is the host's: a signal handler raised it while code of ours ran.

    True where its traceback has a frame of, or its class comes from, a module that is neither ours nor of the standard
    library. Where a handler of the standard library raises a class of the standard library, nothing tells.
    """
    return not _is_known(type(error).__module__) or any(map(_is_foreign, _frames(error.__traceback__)))


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


def _is_known(module: object) -> bool:
    top = str(module).partition(".")[0]
    return top == OURS or top in sys.stdlib_module_names


def _is_foreign(trace: TracebackType) -> bool:
    return not _is_known(trace.tb_frame.f_globals.get("__name__", OURS))


def _frames(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next
