"""Batches that are carried away in files: a file is noted before it exists, so that `disable` can always find it again.

The order is the guarantee: `announce` (path and digest), then the file, then `carry_off` (the state). After a crash
between them the batches still wait, and a file that is carried all the same holds uids that the receiver knows.
"""

import hashlib
import os
import re
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from deepchecks_telemetry.spool.batches.ledger import Batch
from deepchecks_telemetry.spool.db.busy import monotonic, writing
from deepchecks_telemetry.spool.db.connection import BUSY_TIMEOUT_S, opened
from deepchecks_telemetry.spool.files.paths import Home

KEPT_EXPORTS = 30  # a month of a shared folder that no receipt ever comes back from; older ones keep their digest only
KEPT_PATHS = 1000  # so many batches back, `disable` knows where their files are

PART = re.compile(r"\.[0-9a-f]{12}\.part")  # after the file's own name: what `uploader/offline/export.py` writes first
BEGINNING = b'{"resourceLogs":[{"scopeLogs":['  # of a request of ours; the digest alone may be that of any file

OPEN = "(SELECT epoch % 2 FROM spool) = 0"


@dataclass(frozen=True, slots=True)
class Export:
    """A file of ours outside our folders: where it is, where it is written first, the SHA-256 of all its bytes."""

    path: str
    part: str
    sha256: str


def announce(home: Home, chosen: Sequence[Batch], export: Export) -> bool:
    """Note that a file is about to be made; False, and nothing is noted, once `disable` has closed the fence."""
    with opened(home) as connection, writing(connection, monotonic() + BUSY_TIMEOUT_S):
        noted = connection.executemany(
            f"INSERT OR REPLACE INTO exports (batch, path, part, sha256) SELECT ?, ?, ?, ? WHERE {OPEN}",
            [(batch.id, export.path, export.part, export.sha256) for batch in chosen],
        )
        return noted.rowcount == len(chosen)


def carry_off(
    home: Home, chosen: Sequence[Batch], where: str, *, clock: Callable[[], float] = time.time
) -> Sequence[Batch]:
    """Book that the batches are in a file now; those that were booked, so none that was settled or wiped meanwhile."""
    with opened(home) as connection, writing(connection, monotonic() + BUSY_TIMEOUT_S):
        booked = [batch for batch in chosen if _book(connection, batch, where, int(clock()))]
        let_go(connection)
        return booked


def _book(connection: sqlite3.Connection, batch: Batch, where: str, now: int) -> bool:
    booked = connection.execute(
        "UPDATE batches SET state = 'exported', outcome = 'exported', tried_at = ?, endpoint = ? "  # noqa: S608
        f"WHERE id = ? AND sha256 = ? AND state IN ('sealed', 'parked', 'exported') AND {OPEN}",
        (now, where, batch.id, batch.sha256),
    )
    return booked.rowcount == 1


def let_go(connection: sqlite3.Connection) -> None:
    """Keep within bounds where no receipt ever comes: the bytes of old exports go, their digests and counts stay."""
    old = "FROM batches WHERE state = 'exported' ORDER BY id DESC LIMIT -1 OFFSET ?"
    connection.execute(f"DELETE FROM rows WHERE batch IN (SELECT id {old})", (KEPT_EXPORTS,))  # noqa: S608
    connection.execute(f"UPDATE batches SET packed = x'' WHERE id IN (SELECT id {old})", (KEPT_EXPORTS,))  # noqa: S608
    connection.execute(
        "DELETE FROM exports WHERE batch <= (SELECT max(batch) FROM exports) - ?",
        (KEPT_PATHS,),
    )


def read_exports(connection: sqlite3.Connection) -> list[Export]:
    """The files that may still lie about; none in a spool of an older version."""
    try:
        found = connection.execute("SELECT DISTINCT path, part, sha256 FROM exports ORDER BY path").fetchall()
    except sqlite3.OperationalError:
        return []
    return [Export(*row) for row in found if all(isinstance(value, str) for value in row)]


def remove_exports(exports: Sequence[Export]) -> tuple[int, tuple[str, ...]]:
    """Remove what is still ours of them: how many files went, and the paths where none is ours (carried away, edited).

    A spool that was edited can name any file: half-written ones have a name that only we give, whole ones our bytes.
    """
    gone = sum(_unlink(export.part) for export in exports if _is_half(export))
    elsewhere = []
    for export in exports:
        if _is_ours(export) and _unlink(export.path):
            gone += 1
        else:
            elsewhere.append(export.path)
    return gone, tuple(elsewhere)


def _unlink(path: str) -> bool:
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


def _is_half(export: Export) -> bool:
    name, random = export.part[: len(export.path)], export.part[len(export.path) :]
    return name == export.path and PART.fullmatch(random) is not None


def _is_ours(export: Export) -> bool:
    try:
        if not stat.S_ISREG(os.lstat(export.path).st_mode):
            return False
        with open(export.path, "rb") as file:
            first = file.read(len(BEGINNING))
            if first != BEGINNING:
                return False
            digest = hashlib.sha256(first)
            for chunk in _chunks(file.read):
                digest.update(chunk)
    except OSError:
        return False
    return digest.hexdigest() == export.sha256


def _chunks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    return iter(lambda: read(65_536), b"")
