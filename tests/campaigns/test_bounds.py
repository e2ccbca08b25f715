"""Bounds: five years offline, four writers at once, a runaway loop: neither the disk nor the host's time runs away."""

import os
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.ledger import Disposition, batches, mark_attempt, settle
from deepchecks_telemetry.spool.batches.seal import seal
from deepchecks_telemetry.spool.catalogue import EVENT_NAMES, Environment
from deepchecks_telemetry.spool.db.compaction import compact
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.db.schema import ENVIRONMENT_COLUMNS, BatchState
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.stats import read_accounts, read_unsent
from deepchecks_telemetry.uploader.wire.otlp import render

pytestmark = pytest.mark.timeout(3600)
DAY_S = 86_400
FIRST = (date(2026, 3, 1) - date(1970, 1, 1)).days
YEARS, EVENTS_A_DAY, ENVIRONMENTS = 5, 1000, 20
MOST_BYTES, MOST_WAL = 2_000_000, 4_000_000
LIBRARIES = ("0.19.1", "0.20.0", "0.21.3", "1.0.0", "1.1.2")
RUNTIMES = ("script", "jupyter", "ci", "docker")


def environments() -> list[Environment]:
    """Twenty over the years: an upgrade now and then, each with four ways to run."""
    found = [
        Environment(library, "linux", "ubuntu", "24.04", "cpython", f"3.{10 + number}", runtime)
        for number, library in enumerate(LIBRARIES)
        for runtime in RUNTIMES
    ]
    assert len(found) == ENVIRONMENTS
    return found


def size(ours: Home) -> int:
    return sum(os.path.getsize(ours.spool + suffix) for suffix in ("", "-wal") if os.path.exists(ours.spool + suffix))


def live_a_day(ours: Home, day: int, two: tuple[int, int], *, fold: bool = True) -> None:
    """A thousand events in the same shape as the writer's, by faster SQL, folded as in the host."""
    with opened(ours) as connection:
        connection.execute(
            "WITH RECURSIVE one(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM one WHERE n + 1 < ?) "
            "INSERT INTO events (day, event, environment) "
            "SELECT ?, 1 + n % ?, CASE n % 3 WHEN 0 THEN ? ELSE ? END FROM one",
            (EVENTS_A_DAY, day, len(EVENT_NAMES), *two),
        )
        if fold:
            compact(ours, connection)


def try_in_vain(ours: Home, day: int) -> None:
    """What the uploader does where nobody answers: seal, begin, settle with another try to come."""
    now = float(day * DAY_S + 40_000)
    seal(ours, render, clock=lambda: now)
    for batch in batches(ours, states=("sealed",)):
        assert mark_attempt(ours, batch, "https://telemetry.example.org/v1/logs", clock=lambda: now)
        settle(ours, batch, Disposition(BatchState.SEALED, "no connection", next_upload=int(now) + DAY_S))


@pytest.mark.parametrize("tries", [False, True])
def test_five_years_offline_stay_within_two_megabytes_and_lose_no_count(
    ours: Home, *, tries: bool, in_full: bool
) -> None:
    assert record("run-check")
    with opened(ours) as connection:
        connection.executemany(
            f"INSERT OR IGNORE INTO environments ({ENVIRONMENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", environments()
        )
        numbers = [
            id_ for (id_,) in connection.execute("SELECT id FROM environments WHERE os_name = 'ubuntu' ORDER BY 1")
        ]
    days = 365 * YEARS + 1  # in the quick form it is folded, and tried, once a week
    largest = 0
    for day in range(days):
        era = 4 * (day * len(LIBRARIES) // days)
        busy = in_full or day % 7 == 0
        live_a_day(ours, FIRST + day, (numbers[era + day % 4], numbers[era + (day + 1) % 4]), fold=busy)
        if tries and busy:
            try_in_vain(ours, FIRST + day)
        largest = max(largest, size(ours))
    books = read_accounts(ours)
    assert books.recorded == days * EVENTS_A_DAY + 1
    assert (books.pending + books.sealed, books.dropped, books.balance) == (books.recorded, {}, 0)
    assert len({row.day for row in read_unsent(ours)}) in (days, days + 1)
    print(f"\nfive years, {'in vain' if tries else 'silent'}: {largest:,} bytes at most, {books.rows:,} rows")
    assert largest < MOST_BYTES


RECORD = """
import sys
from deepchecks_telemetry.spool import record
print(sum(record("run-check") for _ in range(int(sys.argv[1]))))
"""


def test_the_wal_stays_within_four_megabytes_under_four_writers(ours: Home, in_full: bool) -> None:
    assert record("run-check")
    most = "200000" if in_full else "6000"
    pipe = subprocess.PIPE
    writers = [subprocess.Popen([sys.executable, "-c", RECORD, most], stdout=pipe, text=True) for _ in range(4)]
    longest = 0
    while any(writer.poll() is None for writer in writers):
        longest = max(longest, os.path.getsize(ours.spool + "-wal"))
        time.sleep(0.001)
    told = sum(int(writer.communicate()[0]) for writer in writers)
    books = read_accounts(ours)
    assert (books.pending, books.balance) == (told + 1, 0)
    print(f"\nfour writers: {told:,} records, a WAL of {longest:,} bytes at most, dropped {books.dropped}")
    assert longest < MOST_WAL


LOOP = """
import sys, time
from deepchecks_telemetry.spool import record
most = int(sys.argv[1])
for _ in range(10):
    begun, cpu = time.perf_counter(), time.process_time()
    told = sum(record("run-check") for _ in range(most // 10))
    print(told, time.perf_counter() - begun, time.process_time() - cpu, flush=True)
"""


@pytest.fixture
def tenths(ours: Home, in_full: bool) -> list[tuple[int, float, float]]:
    """Of a runaway loop: what was stored, the time and the CPU time of each tenth."""
    most = 10_000_000 if in_full else 100_000
    command = [sys.executable, "-c", LOOP, str(most)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3000)
    assert (done.returncode, done.stderr) == (0, "")
    lines = map(str.split, done.stdout.splitlines())
    return [(int(told), float(took), float(cpu)) for told, took, cpu in lines]


def test_a_runaway_loop_neither_fills_the_disk_nor_slows_down(
    ours: Home, tenths: list[tuple[int, float, float]], in_full: bool
) -> None:
    told = sum(stored for stored, _, _ in tenths)
    books = read_accounts(ours)
    assert (books.pending, books.balance) == (told, 0)
    # Of the CPU: how long a tenth takes on a machine that others use says nothing about us.
    (_, first_s, first), *_, (_, last_s, last) = tenths
    print(
        f"\nrunaway loop: {told:,} records, {size(ours):,} bytes; first tenth {first_s:.2f} s ({first:.2f} s of CPU), "
        f"last {last_s:.2f} s ({last:.2f} s)"
    )
    assert size(ours) < MOST_BYTES
    assert last < 1.5 * first


def test_years_of_a_receiver_that_refuses_stay_within_bounds(ours: Home, in_full: bool) -> None:
    """Each refused batch is parked, the next gets its turn: but not for ever."""
    assert record("run-check")
    largest = 0
    for day in range(2000 if in_full else 100):
        live_a_day(ours, FIRST + day, (1, 1))
        seal(ours, render)
        for batch in batches(ours, states=("sealed",)):
            settle(ours, batch, Disposition(BatchState.PARKED, "403"))
        largest = max(largest, size(ours))
    books = read_accounts(ours)
    assert (books.pending + books.sealed + books.parked, books.balance) == (books.recorded, 0)
    assert largest < MOST_BYTES


def test_no_other_file_grows_beside_the_spool(ours: Home) -> None:
    for _ in range(3500):
        assert record("run-check")
    others = [Path(ours.state, name) for name in os.listdir(ours.state) if name not in {"spool.db", "spool.db-wal"}]
    assert sum(path.stat().st_size for path in others) <= 65_536
