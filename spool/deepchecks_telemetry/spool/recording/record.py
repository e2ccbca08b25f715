"""`record` counts an event without disturbing the host: no exception of ours, no output, no wait above some 100 ms."""

import os
from collections.abc import Callable
from os import getpid
from typing import TYPE_CHECKING

from deepchecks_telemetry.spool.catalogue import EVENT_NUMBERS
from deepchecks_telemetry.spool.consent.decision import SWITCHES
from deepchecks_telemetry.spool.errors import is_host_exception
from deepchecks_telemetry.spool.files.paths import DIR_VARIABLE, find_home
from deepchecks_telemetry.spool.recording.process import this_process
from deepchecks_telemetry.spool.recording.writer import BUSY, Execute, Result, Writer

if TYPE_CHECKING:
    from _thread import RLock

# The dictionary behind os.environ, because `os.environ.get` costs 0.7 µs a variable, and they are read for each event.
_read = getattr(os.environ, "_data", os.environ).get
_watched = [getattr(os.environ, "encodekey", lambda name: name)(name) for name in (*SWITCHES, DIR_VARIABLE)]
_MODE, _TRACK, _LIBRARY, _LATEST, _DIR = _watched
_process = this_process()
_guard = _process.guard
_writer: Writer | None = None
_writer_key: tuple[object, ...] = ()  # the process id and the variables' values that `_writer` was created for


def record(name: str) -> bool:
    """Count one event of the catalogue; True if it is stored and survives this process, else False.

    Raises only what a signal handler of the host raises meanwhile, prints nothing, waits about 100 ms at most, and
    stores only what is in the catalogue. Returns False if a signal handler calls it while the same thread is inside it.
    """
    try:
        number = EVENT_NUMBERS[name]
    except Exception:  # noqa: BLE001 - a name can be any object, whose hash can raise anything
        return False
    lock: RLock | None = _guard.lock  # as in `take`, without the cost of a call
    if lock._is_owned() or not lock.acquire(False):  # type: ignore[union-attr]  # noqa: SLF001, FBT003
        lock = _guard.take()
    if lock is None:
        return _writer is not None and _writer.drop(BUSY)
    try:
        # A variable that the program sets takes effect at the next record, and a process only uses its own connection,
        # also after a fork. (A loop over the five variables takes twice the time.)
        same = (getpid(), _read(_MODE), _read(_TRACK), _read(_LIBRARY), _read(_LATEST), _read(_DIR)) == _writer_key
        return (_writer if same and _writer is not None else _renew()).append(number)
    except BaseException as error:
        _process.close()  # a signal handler's exception may have interrupted anything, so no partial state is kept
        if not isinstance(error, Exception) or is_host_exception(error):
            raise
        return False
    finally:
        lock.release()


def access(act: Callable[[Execute], Result]) -> Result | None:
    """Run `act(execute)` on the host's one connection; None if there is no open spool, or a lock is held.

    The uploader uses it to check whether an upload is due, because a second connection is never opened in a host.
    """
    lock = _guard.take()
    if lock is None:
        return None
    try:
        same = (getpid(), *map(_read, _watched)) == _writer_key
        return (_writer if same and _writer is not None else _renew()).access(act)
    except BaseException as error:
        _process.close()
        if not isinstance(error, Exception) or is_host_exception(error):
            raise
        return None
    finally:
        lock.release()


def close() -> None:
    """Close the session, if one is open; the next record opens another."""
    global _writer  # noqa: PLW0603 - one per process, like its connection
    lock = _guard.take()
    if lock is not None:
        try:
            _process.close()
            _writer = None
        finally:
            lock.release()


def _renew() -> Writer:
    global _writer, _writer_key
    _process.close()
    _writer_key, _writer = (getpid(), *map(_read, _watched)), Writer(find_home(), _process)
    return _writer


_guard.holders |= {record.__code__, access.__code__, close.__code__}
