"""Limits of disk use and time: five years offline, four concurrent writers, a runaway loop."""

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
from deepchecks_telemetry.spool.db.schema import ENVIRONMENT_COLUMNS
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.states import BatchState
from deepchecks_telemetry.spool.stats import read_accounts, read_unsent
from deepchecks_telemetry.uploader.wire.otlp import render

pytestmark = pytest.mark.timeout(3600)
DAY_S = 86_400
FIRST = (date(2026, 3, 1) - date(1970, 1, 1)).days
YEARS, EVENTS_A_DAY, ENVIRONMENTS = 5, 1000, 20
MAX_BYTES, MAX_WAL_BYTES = 2_000_000, 4_000_000
LIBRARIES = ("0.19.1", "0.20.0", "0.21.3", "1.0.0", "1.1.2")
RUNTIMES = ("script", "jupyter", "ci", "docker")


def environments() -> list[Environment]:
    """Twenty environments: five versions of the library, each in four runtimes."""
    all_environments = [
        Environment(library, "linux", "ubuntu", "24.04", "cpython", f"3.{10 + number}", runtime)
        for number, library in enumerate(LIBRARIES)
        for runtime in RUNTIMES
    ]
    assert len(all_environments) == ENVIRONMENTS
    return all_environments


def size(spool: Home) -> int:
    return sum(os.path.getsize(spool.spool + suffix) for suffix in ("", "-wal") if os.path.exists(spool.spool + suffix))


def record_a_day(spool: Home, day: int, environment_ids: tuple[int, int], *, fold: bool = True) -> None:
    """Insert a thousand events like those of the writer, with faster SQL, and fold them as in the host."""
    with opened(spool) as connection:
        connection.execute(
            "WITH RECURSIVE one(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM one WHERE n + 1 < ?) "
            "INSERT INTO events (day, event, environment) "
            "SELECT ?, 1 + n % ?, CASE n % 3 WHEN 0 THEN ? ELSE ? END FROM one",
            (EVENTS_A_DAY, day, len(EVENT_NAMES), *environment_ids),
        )
        if fold:
            compact(spool, connection)


def fail_to_upload(spool: Home, day: int) -> None:
    """What the uploader does without a connection: seal, mark the attempt, settle for a retry."""
    now = float(day * DAY_S + 40_000)
    seal(spool, render, clock=lambda: now)
    for batch in batches(spool, states=("sealed",)):
        assert mark_attempt(spool, batch, "https://telemetry.example.org/v1/logs", clock=lambda: now)
        settle(spool, batch, Disposition(BatchState.SEALED, "no connection", next_upload=int(now) + DAY_S))


@pytest.mark.parametrize("tries", [False, True])
def test_five_years_offline_stay_within_two_megabytes_and_lose_no_count(
    spool: Home, *, tries: bool, in_full: bool
) -> None:
    assert record("run-check")
    with opened(spool) as connection:
        connection.executemany(
            f"INSERT OR IGNORE INTO environments ({ENVIRONMENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", environments()
        )
        numbers = [
            id_ for (id_,) in connection.execute("SELECT id FROM environments WHERE os_name = 'ubuntu' ORDER BY 1")
        ]
    days = 365 * YEARS + 1  # the short form folds and tries to upload once a week
    largest = 0
    for day in range(days):
        era = 4 * (day * len(LIBRARIES) // days)
        active = in_full or day % 7 == 0
        record_a_day(spool, FIRST + day, (numbers[era + day % 4], numbers[era + (day + 1) % 4]), fold=active)
        if tries and active:
            fail_to_upload(spool, FIRST + day)
        largest = max(largest, size(spool))
    accounts = read_accounts(spool)
    assert accounts.recorded == days * EVENTS_A_DAY + 1
    assert (accounts.pending + accounts.sealed, accounts.dropped, accounts.balance) == (accounts.recorded, {}, 0)
    assert len({row.day for row in read_unsent(spool)}) in (days, days + 1)
    print(f"\nfive years, {'failing' if tries else 'no'} uploads: at most {largest:,} bytes, {accounts.rows:,} rows")
    assert largest < MAX_BYTES


RECORD = """
import sys
from deepchecks_telemetry.spool import record
print(sum(record("run-check") for _ in range(int(sys.argv[1]))))
"""


def test_the_wal_stays_within_four_megabytes_under_four_writers(spool: Home, in_full: bool) -> None:
    assert record("run-check")
    records = "200000" if in_full else "6000"
    pipe = subprocess.PIPE
    writers = [subprocess.Popen([sys.executable, "-c", RECORD, records], stdout=pipe, text=True) for _ in range(4)]
    longest = 0
    while any(writer.poll() is None for writer in writers):
        longest = max(longest, os.path.getsize(spool.spool + "-wal"))
        time.sleep(0.001)
    stored = sum(int(writer.communicate()[0]) for writer in writers)
    accounts = read_accounts(spool)
    assert (accounts.pending, accounts.balance) == (stored + 1, 0)
    print(f"\nfour writers: {stored:,} records, a WAL of {longest:,} bytes at most, dropped {accounts.dropped}")
    assert longest < MAX_WAL_BYTES


LOOP = """
import sys, time
from deepchecks_telemetry.spool import record
records = int(sys.argv[1])
for _ in range(10):
    begun, cpu = time.perf_counter(), time.process_time()
    stored = sum(record("run-check") for _ in range(records // 10))
    print(stored, time.perf_counter() - begun, time.process_time() - cpu, flush=True)
"""


@pytest.fixture
def tenths(spool: Home, in_full: bool) -> list[tuple[int, float, float]]:
    """The stored events, the time and the CPU time of each tenth of a runaway loop."""
    records = 10_000_000 if in_full else 100_000
    command = [sys.executable, "-c", LOOP, str(records)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3000)
    assert (done.returncode, done.stderr) == (0, "")
    lines = map(str.split, done.stdout.splitlines())
    return [(int(stored), float(took), float(cpu)) for stored, took, cpu in lines]


def test_a_runaway_loop_neither_fills_the_disk_nor_slows_down(
    spool: Home, tenths: list[tuple[int, float, float]], in_full: bool
) -> None:
    total = sum(stored for stored, _, _ in tenths)
    accounts = read_accounts(spool)
    assert (accounts.pending, accounts.balance) == (total, 0)
    # CPU time, because the elapsed time depends on the other programs of the machine.
    (_, first_s, first), *_, (_, last_s, last) = tenths
    print(
        f"\nrunaway loop: {total:,} records, {size(spool):,} bytes; first tenth {first_s:.2f} s ({first:.2f} s CPU), "
        f"last {last_s:.2f} s ({last:.2f} s)"
    )
    assert size(spool) < MAX_BYTES
    assert last < 1.5 * first


def test_years_of_a_refusing_receiver_stay_within_the_limit(spool: Home, in_full: bool) -> None:
    """Each refused batch is parked and the next is sent, up to the limit of parked batches."""
    assert record("run-check")
    largest = 0
    for day in range(2000 if in_full else 100):
        record_a_day(spool, FIRST + day, (1, 1))
        seal(spool, render)
        for batch in batches(spool, states=("sealed",)):
            settle(spool, batch, Disposition(BatchState.PARKED, "403"))
        largest = max(largest, size(spool))
    accounts = read_accounts(spool)
    assert (accounts.pending + accounts.sealed + accounts.parked, accounts.balance) == (accounts.recorded, 0)
    assert largest < MAX_BYTES


def test_no_other_file_grows_beside_the_spool(spool: Home) -> None:
    for _ in range(3500):
        assert record("run-check")
    others = [Path(spool.state, name) for name in os.listdir(spool.state) if name not in {"spool.db", "spool.db-wal"}]
    assert sum(path.stat().st_size for path in others) <= 65_536
