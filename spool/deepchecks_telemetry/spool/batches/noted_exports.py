"""The exports that damaged copies of a spool, or a spool that cannot be opened for writing, have noted."""

import os
import sqlite3
from contextlib import closing

from deepchecks_telemetry.spool.batches.exports import Export, read_exports
from deepchecks_telemetry.spool.db.schema import FAULTS, KNOWN
from deepchecks_telemetry.spool.db.schema_guard import MANY_STEPS, bound, check_shape
from deepchecks_telemetry.spool.errors import SpoolError
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.regular import BESIDE, is_plain_database

# With its WAL where SQLite can make the index beside it; else what is in the database itself.
WAYS = ("mode=ro", "mode=ro&immutable=1")


def read_noted_exports(home: Home, *, copies_only: bool) -> list[Export]:
    """All that can be read, each once, of the copies and, unless `copies_only`, of the spool itself."""
    beginning = os.path.basename(home.spool) + ("." if copies_only else "")
    names = [name for name in sorted(os.listdir(home.state)) if name.startswith(beginning)]
    paths = [os.path.join(home.state, name) for name in names if not name.endswith(BESIDE)]
    return list(dict.fromkeys(export for path in paths for way in WAYS for export in _read(path, way)))


def _read(path: str, way: str) -> list[Export]:
    if not is_plain_database(path):
        return []
    try:
        with closing(sqlite3.connect(f"file:{_quoted(path)}?{way}", uri=True, isolation_level=None)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            bound(connection, MANY_STEPS)
            check_shape(connection, KNOWN)
            return read_exports(connection)
    except (*FAULTS, SpoolError):
        return []


def _quoted(path: str) -> str:
    return os.path.abspath(path).replace("\\", "/").replace("%", "%25").replace("?", "%3f").replace("#", "%23")
