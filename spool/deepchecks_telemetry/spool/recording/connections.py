"""Keeps a connection open until the process is gone, past the interpreter's own shutdown.

SQLite checkpoints when the last connection is closed: 1 to 5 ms with two fsyncs, at each short script's exit. So the
connections hang on an object that nothing ever collects: a `datetime` does not take part in garbage collection, so a
cycle through its `tzinfo` lives for ever. The system closes the files, and rolls nothing back that was acknowledged.
"""

import os
import sqlite3
from contextlib import suppress
from datetime import datetime, tzinfo
from typing import Any


class _Kept(tzinfo):
    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.others: list[object] = []
        self.cycle = datetime(1970, 1, 1, tzinfo=self)

    def _never(self, _: datetime | None) -> None:
        """Never asked: the date is only there to hold on to us."""

    dst = tzname = utcoffset = _never


_kept = _Kept()


class Connection(sqlite3.Connection):
    """A connection that is never closed on the way out, kept from before its file is opened."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.pid = os.getpid()
        _kept.connections.append(self)
        super().__init__(*arguments, **named)


def keep(anything: object) -> None:
    """Never free it, nor what it refers to."""
    _kept.others.append(anything)


def forget(connection: sqlite3.Connection) -> None:
    """Keep it no longer: it was closed."""
    _kept.connections = [kept for kept in _kept.connections if kept is not connection]


def close_leftovers() -> None:
    """Close what an exception of a signal handler's left open; the caller has no connection that it still uses.

    SQLite gives an unused descriptor of such a one to the next connection, whose files could not be told then. One that
    was left open before a fork stays open: it is the parent's.
    """
    for connection in [kept for kept in _kept.connections if kept.pid == os.getpid()]:
        with suppress(sqlite3.ProgrammingError):  # it was never opened
            connection.close()
        forget(connection)
