"""Opening the spool outside the host: for sealing, settling, looking and erasing, with SQLite's own patience."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from deepchecks_telemetry.spool.paths import Home
from deepchecks_telemetry.spool.schema import connect, translate

BUSY_TIMEOUT_S = 5.0


@contextmanager
def opened(home: Home) -> Iterator[sqlite3.Connection]:
    """The spool's connection, closed at the end; foreign errors leave as the room's own."""
    try:
        with closing(connect(home, timeout_s=BUSY_TIMEOUT_S)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise translate(error) from error
