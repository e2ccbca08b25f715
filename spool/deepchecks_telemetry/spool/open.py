"""Opening the spool outside the host: for sealing, settling, looking and erasing, with SQLite's own patience."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from deepchecks_telemetry.spool.errors import Damaged
from deepchecks_telemetry.spool.paths import Home
from deepchecks_telemetry.spool.quarantine import identity, put_aside
from deepchecks_telemetry.spool.schema import connect, translate

BUSY_TIMEOUT_S = 5.0


@contextmanager
def opened(home: Home, *, locked: bool = False) -> Iterator[sqlite3.Connection]:
    """The spool's connection, closed at the end; foreign errors leave as the room's own.

    A spool that turns out damaged is put aside before `Damaged` leaves; `locked` tells that the file lock is held.
    """
    file = identity(home.spool)
    try:
        with closing(connect(home, timeout_s=BUSY_TIMEOUT_S)) as connection:
            yield connection
    except (sqlite3.Error, Damaged) as error:
        told = translate(error) if isinstance(error, sqlite3.Error) else error
        if isinstance(told, Damaged):
            put_aside(home, file, locked=locked)
        raise told from error
