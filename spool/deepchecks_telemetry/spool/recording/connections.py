"""Keeps a connection open until the process is gone, past the interpreter's own shutdown.

SQLite checkpoints when the last connection is closed: 1 to 5 ms with two fsyncs, at each short script's exit. So the
connections hang on an object that nothing ever collects: a `datetime` does not take part in garbage collection, so a
cycle through its `tzinfo` lives for ever. The system closes the files, and rolls nothing back that was acknowledged.
"""

import sqlite3
from datetime import datetime, tzinfo


class _Kept(tzinfo):
    def __init__(self) -> None:
        self.connections: list[sqlite3.Connection] = []
        self.cycle = datetime(1970, 1, 1, tzinfo=self)

    def _never(self, _: datetime | None) -> None:
        """Never asked: the date is only there to hold on to us."""

    dst = tzname = utcoffset = _never


_kept = _Kept()


def keep(connection: sqlite3.Connection) -> None:
    """Never close `connection` on the way out."""
    _kept.connections.append(connection)


def forget(connection: sqlite3.Connection) -> None:
    """Keep it no longer: it was closed."""
    _kept.connections = [kept for kept in _kept.connections if kept is not connection]
