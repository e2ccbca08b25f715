"""Runs in the measured interpreter: fills a spool as programs would, and times folding, sealing and sending.

The rows come from `record()` if that is fast enough, otherwise from one statement. They are checked against a recorded
row, and the delivered events against the inserted ones, so that each figure is for the requested number.
"""

import json
import os
import re
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import TextIO

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.seal import seal
from deepchecks_telemetry.spool.catalogue import EVENTS
from deepchecks_telemetry.spool.db.busy import writing
from deepchecks_telemetry.spool.db.compaction import checkpoint, compact, fold
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.db.schema import ENVIRONMENT_COLUMNS
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.recording.writer import COMPACT_EVERY
from deepchecks_telemetry.spool.stats import read_accounts

HOME = find_home()
ENVIRONMENTS = 20
FIRST_DAY = int(time.time()) // 86_400 - 5 * 365  # the kinds are of five years; a day that has not come is not sent
FILL = """
WITH RECURSIVE one(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM one WHERE n + 1 < :past)
INSERT INTO events (day, event, environment)
SELECT :day + n % :kinds / 140, 1 + n % :kinds % 7, 1 + n % :kinds / 7 % 20 FROM one
"""


def grow(events: int, kinds: int) -> dict[str, float]:
    """Fold, seal and send a number of events of different kinds; all must arrive."""
    _prepare()
    with hold(HOME.lock, 5):  # prevents the host from folding
        for number in range(events - 1 if events <= COMPACT_EVERY and kinds == len(EVENTS) else 0):
            assert record(EVENTS[number % kinds].name)
        with opened(HOME, locked=True) as connection:
            (existing,) = connection.execute("SELECT count(*) FROM events WHERE event > 0").fetchone()
            _fill(connection, 0, events - existing, kinds)
            checkpoint(connection)
            took = _time("fold", lambda: _fold(connection))
            checkpoint(connection)
    assert read_accounts(HOME).pending == events
    return {**took, **_send(events)}


def _send(events: int) -> dict[str, float]:
    from deepchecks_telemetry.uploader.endpoint import find_endpoint
    from deepchecks_telemetry.uploader.flush import flush
    from deepchecks_telemetry.uploader.wire.otlp import render

    endpoint = find_endpoint(HOME)
    assert endpoint is not None
    sealed = _time("seal_a_batch", lambda: seal(HOME, render))
    sent: list[object] = []
    flushed = _time("flush", lambda: sent.extend(flush(HOME, endpoint)))
    accounts = read_accounts(HOME)
    assert (accounts.delivered, accounts.pending, accounts.balance) == (events, 0, 0), accounts
    return {**sealed, **flushed, "batches": len(sent)}


def raw(events: int) -> dict[str, int]:
    """The bytes of unfolded records: of all files, and of the database after the WAL is truncated."""
    _prepare()
    with hold(HOME.lock, 5):
        with opened(HOME, locked=True) as connection:
            assert checkpoint(connection)
        start = _size("")
        for _ in range(events - 1):
            assert record("run-check")
        sizes = {"database_and_wal": _size("") + _size("-wal") - start}
        with opened(HOME, locked=True) as connection:
            assert checkpoint(connection)
        return {**sizes, "database": _size("") - start}


def folded(events: int, kinds: int) -> dict[str, int]:
    """The bytes after a number of events, folded as often as in a host."""
    _prepare()
    with opened(HOME) as connection:
        for first in range(0, events, COMPACT_EVERY):
            _fill(connection, first, min(events, first + COMPACT_EVERY), kinds)
            assert compact(HOME, connection)
        (rows,) = connection.execute("SELECT count(*) FROM folded").fetchone()
        assert rows in {min(events, kinds), min(events, kinds) + 1}, rows
    return {"bytes": _size("") + _size("-wal"), "kinds": rows}


def in_host(events: int, kinds: int) -> dict[str, float]:
    """The time of folding as a host does: so many events at a time, with lock and checkpoint."""
    _prepare()
    took: Counter[str] = Counter()
    with opened(HOME) as connection:
        for first in range(0, events, COMPACT_EVERY):
            _fill(connection, first, first + COMPACT_EVERY, kinds)
            took.update(_time("fold", lambda: compact(HOME, connection)))
    assert read_accounts(HOME).pending == events + 1
    return dict(took)


def written(checks: int) -> dict[str, float]:
    """The bytes that a number of records write, with their folds and checkpoints, and those of the files afterwards."""
    _prepare()
    with open("/proc/self/io", encoding="ascii") as file:
        before = _written(file)
        for _ in range(checks):
            assert record("run-check")
        total = _written(file) - before
    return {"an_event": round(total / checks, 1), "total": total, "files": sum(map(_size, ("", "-wal", "-shm")))}


def _written(file: TextIO) -> int:
    """The bytes of this process's write calls; changes of shared memory are not among them."""
    file.seek(0)
    return int(re.search(r"wchar: (\d+)", file.read())[1])  # type: ignore[index]


def late(events: int) -> dict[str, int]:
    """The bytes if folding was delayed until a number of events, and how many are free for reuse afterwards."""
    _prepare()
    with opened(HOME) as connection:
        _fill(connection, 0, events, len(EVENTS))
        checkpoint(connection)
        before = _size("")
        assert compact(HOME, connection)
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        (page,) = connection.execute("PRAGMA page_size").fetchone()
    return {"raw": before, "folded": _size("") + _size("-wal"), "free_for_reuse": free * page}


def _prepare() -> None:
    """Create the spool with one real record, against which the others are checked, and insert environments."""
    assert record("run-check")
    places = [("1.0.0", "linux", "ubuntu", "24.04", "cpython", f"3.{minor}", "script") for minor in range(ENVIRONMENTS)]
    with opened(HOME) as connection:
        connection.executemany(
            f"INSERT OR IGNORE INTO environments ({ENVIRONMENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
            places,
        )


def _fill(connection: sqlite3.Connection, first: int, past: int, kinds: int) -> None:
    if first >= past:
        return
    connection.execute(FILL, {"first": first, "past": past, "kinds": kinds, "day": FIRST_DAY})
    columns = ", ".join(f"typeof({name})" for name in ("id", "day", "event", "environment"))
    shapes = connection.execute(f"SELECT DISTINCT {columns} FROM events").fetchall()
    assert shapes == [("integer",) * 4], shapes


def _fold(connection: sqlite3.Connection) -> None:
    with writing(connection, time.monotonic() + 60):
        fold(connection)


def _time(name: str, act: Callable[[], object]) -> dict[str, float]:
    start, cpu = time.perf_counter(), time.process_time()
    act()
    return {f"{name}_s": time.perf_counter() - start, f"{name}_cpu_s": time.process_time() - cpu}


def _size(suffix: str) -> int:
    path = HOME.spool + suffix
    return os.path.getsize(path) if os.path.exists(path) else 0


if __name__ == "__main__":
    act, *numbers = sys.argv[1:]
    print(json.dumps(globals()[act](*map(int, numbers))))
