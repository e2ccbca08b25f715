"""A process leaves its connection open when it goes: no checkpoint at the exit, nothing closed in a fork's child."""

import os
import sqlite3
from collections.abc import Callable

import pytest

from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.recording import connections as kept
from deepchecks_telemetry.spool.stats import read_accounts

Run = Callable[..., str]
RECORD = "from deepchecks_telemetry.spool import record; assert record('run-check')"
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def test_a_process_that_goes_leaves_its_wal_and_does_no_checkpoint(ours: Home, run: Run) -> None:
    run(RECORD)
    assert os.path.getsize(ours.spool + "-wal") > 0
    run(RECORD)
    assert read_accounts(ours).pending == 2


def test_a_connection_that_was_closed_by_hand_is_not_kept(ours: Home, run: Run) -> None:
    run(RECORD + "; from deepchecks_telemetry.spool.recording import record as recording; recording._writer.close()")
    assert not os.path.exists(ours.spool + "-wal")


@forks
def test_the_exit_of_a_forked_child_closes_nothing_of_its_parent(ours: Home, run: Run) -> None:
    run(f"{RECORD}\nimport os\npid = os.fork()\nif pid: os.waitpid(pid, 0); assert record('run-suite')")
    assert os.path.getsize(ours.spool + "-wal") > 0
    assert read_accounts(ours).pending == 2


def test_what_came_through_a_fork_is_known_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = sqlite3.connect(":memory:")
    kept.keep(connection)
    here = os.getpid()
    assert not kept.has_crossed()
    monkeypatch.setattr(os, "getpid", lambda: here + 1)
    assert kept.has_crossed()
    kept.close(connection)
    assert connection.execute("SELECT 1").fetchone() == (1,)
    monkeypatch.undo()
    kept.close(connection)
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("SELECT 1")
