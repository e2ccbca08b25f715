"""The settings row of a spool, which only tests compare as a whole."""

from typing import NamedTuple

from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.files.paths import Home


class Stored(NamedTuple):
    closed: bool = False
    next_upload: int | None = None
    failures: int = 0
    endpoint: str | None = None


def stored(home: Home) -> Stored:
    with opened(home) as connection:
        row = connection.execute("SELECT epoch % 2, next_upload, failures, endpoint FROM spool").fetchone()
    return Stored(bool(row[0]), *row[1:])
