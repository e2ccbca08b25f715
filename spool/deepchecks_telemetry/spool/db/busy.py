"""Every wait for SQLite's locks is a series of short jittered pauses, bounded in time and in number."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import BuiltinImporter
from importlib.util import module_from_spec
from types import ModuleType
from typing import TypeVar

from deepchecks_telemetry.spool.db.sqlite_errors import is_busy
from deepchecks_telemetry.spool.errors import Busy


def _private_time() -> ModuleType:
    spec = BuiltinImporter.find_spec("time")
    if spec is None:
        return time
    module = module_from_spec(spec)
    BuiltinImporter.exec_module(module)
    return module


# A private copy of the module. gevent and eventlet replace `time.sleep` by a switch to other work, which could call
# `record` in the middle of a record; freezegun replaces every reference to `time.monotonic`, so no deadline would pass.
_time = _private_time()
monotonic: Callable[[], float] = _time.monotonic
sleep: Callable[[float], None] = _time.sleep

Result = TypeVar("Result")

# The back-off between two tries. SQLite's busy handler sleeps 1 to 100 ms, and its tail is 5 to 15 times worse.
# Pauses get longer after some tries; otherwise a hundred waiting processes would use up the processor of the one
# that they wait for.
SHORTEST_S, LONG_S, LONGEST_S = 0.00005, 0.001, 0.008
DOUBLE_AFTER = 8  # tries
HOST_TRIES = 42  # some 100 ms; a second bound beside the deadline, for a clock that stands still (libfaketime)
MANY_TRIES = 100_000


def pause(tried: int) -> None:
    """Sleep before the next try, with jitter; the more tries, the longer."""
    longest_s = min(LONG_S * 2 ** (tried // DOUBLE_AFTER), LONGEST_S)
    sleep(SHORTEST_S + (longest_s - SHORTEST_S) * os.urandom(1)[0] / 255)


def retry_while_busy(act: Callable[[], Result], deadline: float, *, tries: int = MANY_TRIES) -> Result:
    """Call `act` until no lock is held by others; raise `Busy` at `deadline` (of `monotonic`) or after `tries`."""
    for tried in range(1, tries + 1):
        try:
            return act()
        except (sqlite3.OperationalError, Busy) as error:
            if not isinstance(error, Busy) and not is_busy(error):
                raise
            if tried == tries or monotonic() >= deadline:
                raise Busy("the spool is locked by another process") from error
        pause(tried)
    raise Busy("the spool is locked by another process")


@contextmanager
def writing(connection: sqlite3.Connection, deadline: float, *, tries: int = MANY_TRIES) -> Iterator[None]:
    """Run the block in one write transaction, which is rolled back if it raises.

    `BEGIN IMMEDIATE`, because a deferred transaction that upgrades fails immediately with "database is locked",
    whatever the timeout.
    """
    # SQLite's own handler sleeps up to 100 ms a time and, against eight programs that record in loops, fails in 5 s.
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        retry_while_busy(lambda: connection.execute("BEGIN IMMEDIATE"), deadline, tries=tries)
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.ProgrammingError):  # the connection was closed meanwhile
            if connection.in_transaction:  # after a full disk SQLite has rolled it back already
                connection.execute("ROLLBACK")
        raise
