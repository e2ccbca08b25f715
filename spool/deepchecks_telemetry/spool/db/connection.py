"""Opening the spool outside the host: for sealing, settling, looking and erasing, with SQLite's own patience."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext

from deepchecks_telemetry.spool.db.schema import FAULTS, HEAD, check_head, connect, translate
from deepchecks_telemetry.spool.db.schema_guard import MANY_STEPS, bound
from deepchecks_telemetry.spool.errors import Damaged
from deepchecks_telemetry.spool.files.directory import is_remote
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.quarantine import identity, put_aside

BUSY_TIMEOUT_S = 5.0


@contextmanager
def opened(home: Home, *, locked: bool = False) -> Iterator[sqlite3.Connection]:
    """The spool's connection, closed at the end; foreign errors leave as the room's own.

    A spool that turns out damaged is put aside before `Damaged` leaves; `locked` tells that the file lock is held,
    which on a network file system every access needs.
    """
    file = identity(home.spool)
    alone = nullcontext() if locked or file is None or not is_remote(home.state) else hold(home.lock, BUSY_TIMEOUT_S)
    try:
        with alone, closing(connect(home, timeout_s=BUSY_TIMEOUT_S)) as connection:
            bound(connection, MANY_STEPS)
            check_head(connection.execute(HEAD).fetchone())
            yield connection
    except (*FAULTS, Damaged) as error:
        told = translate(error) if isinstance(error, FAULTS) else error
        if isinstance(told, Damaged):
            put_aside(home, file, locked=locked)
        raise told from error
