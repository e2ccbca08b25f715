"""Commands find a spool migrated, with quarantined copies recovered; the host does neither."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.seal import Row, seal
from deepchecks_telemetry.spool.errors import Damaged
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.quarantine import SETTLED_S, quarantine, quarantined
from deepchecks_telemetry.spool.files.regular import file_id
from deepchecks_telemetry.spool.recording import record as recording
from deepchecks_telemetry.spool.recovery import maintenance
from deepchecks_telemetry.spool.recovery.maintenance import with_maintenance
from deepchecks_telemetry.spool.stats import read_accounts, read_unsent

Run = Callable[..., str]
Sql = Callable[..., list[Any]]
RECORD = "import os; from deepchecks_telemetry.spool import record; assert record('run-check'); os._exit(0)"


class Clock:
    """Replaces the module `time`: the clock stands still, and `sleep` returns immediately."""

    monotonic = staticmethod(time.monotonic)

    def __init__(self, now: float) -> None:
        self.now = now
        self.waits: list[float] = []

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def test_without_a_spool_nothing_is_created(dirs: Home) -> None:
    assert with_maintenance(dirs, lambda: "result") == "result"
    assert not os.path.exists(dirs.state)


def test_a_copy_is_salvaged_before_a_batch_is_sealed(
    dirs: Home, run: Run, render: Callable[[str, list[Row]], bytes]
) -> None:
    run(RECORD)
    quarantine(dirs, file_id(dirs.spool))
    assert seal(dirs, render)
    assert (read_accounts(dirs).sealed, quarantined(dirs)) == (1, [])


def test_a_copy_is_salvaged_only_after_the_last_acknowledgement(
    dirs: Home, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(RECORD)
    quarantine(dirs, file_id(dirs.spool))
    clock = Clock(time.time())
    monkeypatch.setattr(maintenance, "time", clock)
    assert read_accounts(dirs).recorded == 1
    (wait,) = clock.waits
    assert 0 < wait <= SETTLED_S


def test_a_clock_that_jumped_back_costs_one_wait(dirs: Home, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run(RECORD)
    quarantine(dirs, file_id(dirs.spool))
    clock = Clock(time.time() - 1e8)
    monkeypatch.setattr(maintenance, "time", clock)
    assert read_accounts(dirs).recorded == 1
    assert clock.waits == [SETTLED_S]


def test_damage_met_by_the_act_is_recovered_once(dirs: Home) -> None:
    assert record("run-check")
    met: list[int] = []

    def act() -> str:
        met.append(1)
        if len(met) == 1:
            raise Damaged("for once")
        return "result"

    assert with_maintenance(dirs, act) == "result"

    def hopeless() -> None:
        met.append(1)
        raise Damaged("again")

    with pytest.raises(Damaged):
        with_maintenance(dirs, hopeless)
    assert len(met) == 4


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO folded VALUES ('Jane', 1, 1, 1)",
        "INSERT INTO folded VALUES (20500, 1, 1, 'many')",
        "INSERT INTO events VALUES (NULL, 20500, x'01', 1)",
        "INSERT INTO tallies VALUES ('delivered', 'some')",
        "INSERT INTO rows VALUES ('u', 1, 1, 1, 1, 1.5)",
        "INSERT INTO batches (state, sealed_at, rows, events, sha256) VALUES ('sealed', 1, 'a', 1, '')",
    ],
)
def test_a_page_of_another_table_is_damage(dirs: Home, sql: Sql, statement: str) -> None:
    assert record("run-check")
    sql(statement)
    sql("PRAGMA wal_checkpoint(TRUNCATE)")
    recording.close()  # Windows does not rename an open file
    stats = read_accounts(dirs)
    assert (stats.pending, stats.balance) == (1, 0)
    assert sql("SELECT count(*) FROM salvaged") == [(1,)]
    assert sum(waiting.count for waiting in read_unsent(dirs)) == 1


def test_the_host_neither_migrates_nor_salvages(dirs: Home, run: Run, sql: Sql) -> None:
    run(RECORD)
    sql("PRAGMA user_version = 1000")
    quarantine(dirs, file_id(dirs.spool))
    run(
        "import sys; from deepchecks_telemetry.spool import record; assert record('run-check')\n"
        "assert not {'sqlite_utils', 'deepchecks_telemetry.spool.recovery.recover'} & set(sys.modules)"
    )
    assert len(quarantined(dirs)) == 1


def test_a_foreign_file_with_the_name_of_a_copy_is_ignored(dirs: Home) -> None:
    assert record("run-check")
    Path(dirs.spool + ".damaged-by hand").write_bytes(os.urandom(3000))
    os.utime(dirs.spool + ".damaged-by hand", (0, 0))
    assert read_accounts(dirs).recorded == 1
    assert quarantined(dirs) == []
