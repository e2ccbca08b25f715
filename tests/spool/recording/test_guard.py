"""An exception from a signal handler, at any instruction, leaves nothing locked, and no thread waits for itself."""

import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from types import FunctionType
from typing import Any

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.errors import Busy, is_host_exception
from deepchecks_telemetry.spool.files import lock
from deepchecks_telemetry.spool.files.lock import hold, hold_in_host
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.recording import record as recording
from deepchecks_telemetry.spool.stats import read_accounts

Run = Callable[..., str]
SOON_S = 0.5  # far more than a record takes on a loaded machine, far less than a lock that is never released

posix = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timer")


class HostError(Exception):
    """The exception that the host's signal handler raises."""


def test_a_lock_left_locked_by_an_exception_is_replaced(dirs: Home) -> None:
    assert record("run-check")
    assert recording._guard.take() is not None  # and its owner continues without releasing it
    started = time.monotonic()
    assert record("run-check")
    assert time.monotonic() - started < SOON_S
    assert read_accounts(dirs).balance == 0


@pytest.mark.skipif(not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="only detected with the GIL")
def test_a_lock_left_locked_by_a_finished_thread_is_replaced(dirs: Home) -> None:
    assert record("run-check")
    thread = threading.Thread(target=recording._guard.take)
    thread.start()
    thread.join()
    started = time.monotonic()
    assert record("run-check")
    assert time.monotonic() - started < SOON_S


def test_without_the_gil_only_the_thread_that_left_the_lock_locked_replaces_it(
    dirs: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)  # as in a free-threaded Python
    assert record("run-check")
    assert (left := recording._guard.take()) is not None
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(record("run-check")))
    thread.start()
    thread.join()
    assert (answers, recording._guard.lock is left) == ([False], True)
    assert record("run-check")
    assert read_accounts(dirs).dropped == {"busy": 1}


def test_a_lock_in_use_by_another_thread_is_waited_for(dirs: Home) -> None:
    inside, leave = threading.Event(), threading.Event()

    def hold_guard(_: object) -> None:
        inside.set()
        leave.wait(10)

    assert record("run-check")
    thread = threading.Thread(target=recording.access, args=(hold_guard,))
    thread.start()
    assert inside.wait(10)
    held = recording._guard.lock
    assert record("run-check") is False
    assert recording._guard.lock is held
    leave.set()
    thread.join()
    assert record("run-check")
    assert read_accounts(dirs).dropped == {"busy": 1}


def test_a_nested_record_of_the_same_thread_returns_false_immediately(dirs: Home) -> None:
    assert record("run-check")
    started = time.monotonic()
    assert recording.access(lambda _: record("run-check")) is False
    assert time.monotonic() - started < 0.05
    assert record("run-check")
    stats = read_accounts(dirs)
    assert (stats.pending, stats.dropped, stats.balance) == (2, {"busy": 1}, 0)


def test_a_transaction_left_open_by_an_exception_is_rolled_back(dirs: Home) -> None:
    assert record("run-check")
    writer = recording._writer
    assert writer is not None
    assert writer._session is not None
    writer._session.raw.execute("BEGIN IMMEDIATE")
    assert record("run-check")
    with closing(sqlite3.connect(dirs.spool, isolation_level=None, timeout=0)) as other:
        other.execute("BEGIN IMMEDIATE")  # no connection holds the write lock
        other.execute("ROLLBACK")
    assert read_accounts(dirs).pending == 2


# The handler only raises if it has interrupted `record`, so that each exception can be counted when it arrives. The
# timer rings again every 50 ms, because on CPython 3.10 one of some 50,000 alarms did not reach the handler.
ALARMS = """
import builtins, random, signal, sys, time
from deepchecks_telemetry.spool import record
class HostError(Exception): pass
kind = getattr(builtins, sys.argv[1], HostError)
raised, arrived, acknowledged = [], set(), 0
def handler(number, frame):
    signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0002, 0.002), 0.05)
    while frame is not None:
        if frame.f_code is record.__code__:
            raised.append(kind("the host's"))
            raise raised[-1]
        frame = frame.f_back
assert record("run-check")
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001)
while len(raised) < int(sys.argv[2]):
    try:
        acknowledged += record("run-check")
    except kind as error:
        while error is not None:  # another one may strike while the first is on its way
            arrived.add(id(error))
            error = error.__context__
signal.signal(signal.SIGALRM, signal.SIG_IGN)  # an alarm that is due now would run the handler, which sets the next
started, last = time.monotonic(), False
while not last and time.monotonic() - started < 2: last = record("run-check")  # a busy machine may cost one back-off
print(len(raised), len(arrived & set(map(id, raised))), acknowledged + 1 + last, last, time.monotonic() - started < 2)
"""


@posix
@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "TimeoutError", "HostError", "OSError", "ValueError"])
def test_every_exception_of_a_signal_handler_reaches_the_host(dirs: Home, run: Run, kind: str) -> None:
    raised, arrived, acknowledged, last, quick = run(ALARMS, kind, "300").split()
    assert (last, quick) == ("True", "True")
    # The standard library swallows an OSError or a ValueError inside `os.path.exists` and similar, also without us.
    allowed = 0.1 if kind in {"TimeoutError", "OSError", "ValueError"} else 0
    assert int(arrived) >= (1 - allowed) * int(raised)
    stats = read_accounts(dirs)
    assert stats.balance == 0
    assert stats.pending >= int(acknowledged)


def test_our_lock_and_filelocks_lock_exclude_each_other(dirs: Home) -> None:
    os.makedirs(dirs.state, mode=0o700)
    with hold(dirs.lock, 1.0), pytest.raises(Busy), hold_in_host(dirs.lock):
        pass
    with hold_in_host(dirs.lock), pytest.raises(Busy), hold(dirs.lock, 0.05):
        pass
    with hold_in_host(dirs.lock):
        pass
    with hold(dirs.lock, 1.0):
        pass


@pytest.mark.skipif(os.name == "nt", reason="Windows does not remove an open file")
def test_a_lock_on_a_removed_file_is_not_held(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    os.makedirs(dirs.state, mode=0o700)
    flock = lock._lock

    def removed(descriptor: int) -> None:
        flock(descriptor)
        os.unlink(dirs.lock)

    monkeypatch.setattr(lock, "_lock", removed)
    with pytest.raises(Busy), hold_in_host(dirs.lock):
        pass


def test_our_own_exceptions_are_not_the_hosts() -> None:
    for raise_ in (lambda: os.stat("/no/such/file"), lambda: sqlite3.connect("/no/such/file/x")):
        error = catch(compile_in("deepchecks_telemetry.spool.any", raise_))
        assert not is_host_exception(error)
    assert is_host_exception(HostError())


def catch(act: Callable[[], Any]) -> BaseException:
    try:
        act()
    except Exception as error:  # noqa: BLE001
        return error.with_traceback(error.__traceback__.tb_next if error.__traceback__ else None)
    raise AssertionError("it raised nothing")


def compile_in(module: str, act: Callable[[], Any]) -> Callable[[], Any]:
    """Compile code as a function of the given module."""
    return FunctionType(act.__code__, {"__name__": module, "os": os, "sqlite3": sqlite3, "sys": sys})
