"""`record`: the one call that the host program makes, and never notices."""

import os
from _thread import get_ident
from os import getpid

from deepchecks_telemetry.spool.catalogue import NUMBERS
from deepchecks_telemetry.spool.consent.decision import SWITCHES
from deepchecks_telemetry.spool.errors import Busy, is_host_exception
from deepchecks_telemetry.spool.files.paths import DIR_VARIABLE, find_home
from deepchecks_telemetry.spool.recording.writer import DEADLINE_S, FIRST_DEADLINE_S, Writer, guard

# The dictionary behind os.environ: `os.environ.get` costs 0.7 µs a variable, and they are looked at for each event.
_read = getattr(os.environ, "_data", os.environ).get
_watched = [getattr(os.environ, "encodekey", lambda name: name)(name) for name in (*SWITCHES, DIR_VARIABLE)]
_MODE, _TRACK, _LIBRARY, _LATEST, _DIR = _watched
_writer: Writer | None = None
_seen: tuple[object, ...] = ()  # their values when it was made, and the process
_forking: list[int] = []  # the thread that is just forking


def record(name: str) -> bool:
    """Count one event of the catalogue; True when it is stored and survives this process, else False.

    Never raises, prints nothing, waits about 100 ms at most, and stores nothing but what the catalogue names.
    """
    try:
        # A switch that is set while the program runs counts from now on, and a process knows its own connection only,
        # after a fork that Python was not told of too. (A loop over the five takes twice the time.)
        same = (getpid(), _read(_MODE), _read(_TRACK), _read(_LIBRARY), _read(_LATEST), _read(_DIR)) == _seen
        writer = _writer if same and _writer is not None else _replace()
        return writer.append(NUMBERS[name])
    except Exception as error:  # the host program must never see an error of ours, known or unknown
        if is_host_exception(error):  # but what its signal handler has just raised is its own
            raise
        return False


def _replace() -> Writer:
    global _writer, _seen
    here = (getpid(), *map(_read, _watched))
    if not guard.acquire(timeout=DEADLINE_S):
        raise Busy("another thread is recording")
    try:
        if _writer is None or here != _seen:
            if _writer is not None:
                _writer.close()
            _writer, _seen = Writer(find_home()), here
        return _writer
    finally:
        guard.release()


def _before_fork() -> None:
    """Let no connection cross (see `kept.has_crossed`), and no other thread be at work on one at that moment."""
    if guard.acquire(timeout=FIRST_DEADLINE_S):
        _forking.append(get_ident())
        if _writer is not None:
            _writer.close()


def _after_fork() -> None:
    if get_ident() in _forking:
        _forking.clear()
        guard.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
