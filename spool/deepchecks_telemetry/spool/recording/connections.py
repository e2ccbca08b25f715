"""Keeps a connection open until the process has ended, even through the interpreter's shutdown.

SQLite checkpoints when the last connection is closed: 1 to 5 ms with two fsyncs, at the exit of each short script. So
the connections are kept by an object that is never collected: a `datetime` does not take part in garbage collection, so
a cycle through its `tzinfo` lives for ever. The operating system closes the files, and no acknowledged event is lost.
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
        """Never called; the date only exists to keep this object alive."""

    dst = tzname = utcoffset = _never


_kept = _Kept()


class Connection(sqlite3.Connection):
    """A connection that is not closed at exit; it is kept from before its file is opened."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.pid = os.getpid()
        _kept.connections.append(self)
        super().__init__(*arguments, **named)


def keep(item: object) -> None:
    """Never free `item`, nor what it refers to."""
    _kept.others.append(item)


def forget(connection: sqlite3.Connection) -> None:
    """Stop keeping a connection that was closed."""
    _kept.connections = [kept for kept in _kept.connections if kept is not connection]


def close_leftovers() -> None:
    """Close connections that an exception from a signal handler left open; the caller must not be using one.

    SQLite would give an unused descriptor of such a connection to the next one, whose files could then not be
    identified. A connection that was opened before a fork stays open, because it is the parent's.
    """
    for connection in [kept for kept in _kept.connections if kept.pid == os.getpid()]:
        with suppress(sqlite3.ProgrammingError):  # it was never opened
            connection.close()
        forget(connection)
