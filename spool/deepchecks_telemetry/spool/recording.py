"""`record`: the one call that the host program makes, and never notices."""

import os
from _thread import get_ident

from deepchecks_telemetry.spool.catalogue import NUMBERS
from deepchecks_telemetry.spool.consent import SWITCHES
from deepchecks_telemetry.spool.errors import Busy
from deepchecks_telemetry.spool.paths import DIR_VARIABLE, find_home
from deepchecks_telemetry.spool.writer import DEADLINE_S, FIRST_DEADLINE_S, Writer, guard

# The dictionary behind os.environ: `os.environ.get` costs 0.7 µs a variable, and they are looked at for each event.
_read = getattr(os.environ, "_data", os.environ).get
_watched = tuple(getattr(os.environ, "encodekey", lambda name: name)(name) for name in (*SWITCHES, DIR_VARIABLE))
_writer: Writer | None = None
_made_for: tuple[int, list[object]] = (0, [])  # the process, and the values of what is watched
_forking: list[int] = []  # the thread that is just forking


def record(name: str) -> bool:
    """Count one event of the catalogue; True when it is stored and survives this process, else False.

    Never raises, prints nothing, waits about 100 ms at most, and stores nothing but what the catalogue names.
    """
    try:
        # A switch that is set while the program runs counts from now on; a process knows its own connection only.
        here = os.getpid(), [*map(_read, _watched)]
        writer = _writer if _writer is not None and here == _made_for else _replace(here)
        return writer.append(NUMBERS[name])
    except Exception:  # noqa: BLE001 - the host program must never see an error of ours, known or unknown
        return False


def _replace(here: tuple[int, list[object]]) -> Writer:
    global _writer, _made_for
    if not guard.acquire(timeout=DEADLINE_S):
        raise Busy("another thread is recording")
    try:
        if _writer is None or here != _made_for:
            if _writer is not None:
                _writer.close()
            _writer, _made_for = Writer(find_home()), here
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
