"""Puts a whole schema before the pages of a broken spool: without one, SQLite reads none of its tables.

All spools have their tables at the same pages, because a new version adds its own behind them. Where that is not so,
what stands at a table's place is not taken for its rows.
"""

import sqlite3
from contextlib import closing

from deepchecks_telemetry.spool.db.schema import TABLES
from deepchecks_telemetry.spool.recovery.pages import FRAME, PAGE, WAL_HEADER

# Of the first page (sqlite.org/fileformat2.html): which journal it has, how many pages there are, and which are free.
ROLLBACK_JOURNAL, JOURNAL_AT, COUNT_AT, FREE_AT = b"\1\1", 18, 28, 32


def mend(database: bytes, wal: bytes, model: str) -> bytes:
    """The database with its WAL in it and a schema like the one of a new spool, which is made at the path `model`."""
    pages = [database[at : at + PAGE] for at in range(0, len(database) - PAGE + 1, PAGE)]
    for number, page in _frames(wal):
        if number <= len(pages) + len(wal) // PAGE:
            pages += [bytes(PAGE)] * (number - len(pages))
            pages[number - 1] = page
    for number, page in _schema(model).items():
        pages += [bytes(PAGE)] * (number - len(pages))
        pages[number - 1] = page
    first = bytearray(pages[0])
    first[JOURNAL_AT : JOURNAL_AT + 2] = ROLLBACK_JOURNAL
    first[COUNT_AT : COUNT_AT + 4] = len(pages).to_bytes(4, "big")
    first[FREE_AT : FREE_AT + 8] = bytes(8)
    return bytes(first) + b"".join(pages[1:])


def _frames(wal: bytes) -> list[tuple[int, bytes]]:
    """Numbers and pages of the WAL since it began anew: from there on each frame has the salt of the first one."""
    starts = range(WAL_HEADER, len(wal) - PAGE - FRAME + 1, PAGE + FRAME)
    frames = [
        wal[at : at + FRAME + PAGE] for at in starts if wal[at + 8 : at + 16] == wal[WAL_HEADER + 8 : WAL_HEADER + 16]
    ]
    return [(number, frame[FRAME:]) for frame in frames if (number := int.from_bytes(frame[:4], "big"))]


def _schema(model: str) -> dict[int, bytes]:
    """The pages of a new spool that are no table's and no index's."""
    with closing(sqlite3.connect(model, isolation_level=None)) as connection:
        connection.executescript(f"PRAGMA page_size = {PAGE}; BEGIN; {TABLES} COMMIT;")
        roots = {root for (root,) in connection.execute("SELECT rootpage FROM sqlite_master")}
    with open(model, "rb") as file:
        octets = file.read()
    numbers = range(1, len(octets) // PAGE + 1)
    return {number: octets[PAGE * (number - 1) : PAGE * number] for number in numbers if number not in roots}
