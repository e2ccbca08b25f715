"""Keeps a connection open until the process is gone, past the interpreter's own shutdown.

SQLite checkpoints when the last connection is closed: 1 to 5 ms with two fsyncs, at each short script's exit. And a
connection that came through a fork must not be closed in the child at all. `SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE` is in
reach only from Python 3.12, and would still close in the child. So the connections hang on an object that nothing ever
collects: a `datetime` does not take part in garbage collection, so a cycle through its `tzinfo` lives for ever.
"""

import os
import sqlite3
from datetime import datetime, tzinfo


class _Kept(tzinfo):
    def __init__(self) -> None:
        self.connections: list[tuple[int, sqlite3.Connection]] = []
        self.cycle = datetime(1970, 1, 1, tzinfo=self)

    def _never(self, _: datetime | None) -> None:
        """Never asked: the date is only there to hold on to us."""

    dst = tzname = utcoffset = _never


_kept = _Kept()


def keep(connection: sqlite3.Connection) -> None:
    """Never close `connection` on the way out; the system does it, and rolls nothing back that was acknowledged."""
    _kept.connections.append((os.getpid(), connection))


def close(connection: sqlite3.Connection) -> None:
    """Close a kept connection now; in a process that it came to through a fork, leave it alone."""
    if (os.getpid(), connection) in _kept.connections:
        _kept.connections.remove((os.getpid(), connection))
        connection.close()


def has_crossed() -> bool:
    """Whether a connection came here through a fork.

    SQLite counts the locks that a process has on a file, and that count came along, but not the locks: whatever is
    opened in the child takes none, and somebody else's last close deletes the WAL under it.
    """
    return any(pid != os.getpid() for pid, _ in _kept.connections)
