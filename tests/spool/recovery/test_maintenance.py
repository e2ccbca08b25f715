"""Upkeep: who reads or changes the books finds them migrated, and what was put aside is back; not so the host."""

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
from deepchecks_telemetry.spool.recovery import maintenance as upkeep
from deepchecks_telemetry.spool.recovery.maintenance import with_maintenance
from deepchecks_telemetry.spool.stats import read_accounts, read_unsent

Run = Callable[..., str]
Sql = Callable[..., list[Any]]
RECORD = "import os; from deepchecks_telemetry.spool import record; assert record('run-check'); os._exit(0)"


class Clock:
    """In place of the module `time`: a clock that stands still, and somebody who waits without waiting."""

    monotonic = staticmethod(time.monotonic)

    def __init__(self, now: float) -> None:
        self.now = now
        self.waits: list[float] = []

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def test_without_a_spool_nothing_is_created(ours: Home) -> None:
    assert with_maintenance(ours, lambda: "told") == "told"
    assert not os.path.exists(ours.state)


def test_a_copy_is_salvaged_before_a_batch_is_sealed(
    ours: Home, run: Run, render: Callable[[str, list[Row]], bytes]
) -> None:
    run(RECORD)
    quarantine(ours, file_id(ours.spool))
    assert seal(ours, render)
    assert (read_accounts(ours).sealed, quarantined(ours)) == (1, [])


def test_a_copy_is_salvaged_only_after_the_last_acknowledgement(
    ours: Home, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(RECORD)
    quarantine(ours, file_id(ours.spool))
    clock = Clock(time.time())
    monkeypatch.setattr(upkeep, "time", clock)
    assert read_accounts(ours).recorded == 1
    (wait,) = clock.waits
    assert 0 < wait <= SETTLED_S


def test_a_clock_that_jumped_back_costs_one_wait(ours: Home, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run(RECORD)
    quarantine(ours, file_id(ours.spool))
    clock = Clock(time.time() - 1e8)
    monkeypatch.setattr(upkeep, "time", clock)
    assert read_accounts(ours).recorded == 1
    assert clock.waits == [SETTLED_S]


def test_damage_met_by_the_act_is_recovered_once(ours: Home) -> None:
    assert record("run-check")
    met: list[int] = []

    def act() -> str:
        met.append(1)
        if len(met) == 1:
            raise Damaged("for once")
        return "told"

    assert with_maintenance(ours, act) == "told"

    def hopeless() -> None:
        met.append(1)
        raise Damaged("again")

    with pytest.raises(Damaged):
        with_maintenance(ours, hopeless)
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
def test_a_page_of_another_table_is_damage(ours: Home, sql: Sql, statement: str) -> None:
    assert record("run-check")
    sql(statement)
    sql("PRAGMA wal_checkpoint(TRUNCATE)")
    books = read_accounts(ours)
    assert (books.pending, books.balance) == (1, 0)
    assert sql("SELECT count(*) FROM salvaged") == [(1,)]
    assert sum(waiting.count for waiting in read_unsent(ours)) == 1


def test_the_host_neither_migrates_nor_salvages(ours: Home, run: Run, sql: Sql) -> None:
    run(RECORD)
    sql("PRAGMA user_version = 1000")
    quarantine(ours, file_id(ours.spool))
    run(
        "import sys; from deepchecks_telemetry.spool import record; assert record('run-check')\n"
        "assert not {'sqlite_utils', 'deepchecks_telemetry.spool.recovery.recover'} & set(sys.modules)"
    )
    assert len(quarantined(ours)) == 1


def test_a_foreign_file_with_the_name_of_a_copy_is_ignored(ours: Home) -> None:
    assert record("run-check")
    Path(ours.spool + ".damaged-by hand").write_bytes(os.urandom(3000))
    os.utime(ours.spool + ".damaged-by hand", (0, 0))
    assert read_accounts(ours).recorded == 1
    assert quarantined(ours) == []
