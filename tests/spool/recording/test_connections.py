"""A process leaves its connection open when it goes: no checkpoint at the exit, nothing closed in a fork's child."""

import os
from collections.abc import Callable

import pytest

from deepchecks_telemetry.spool.files.paths import Home
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
    run(
        RECORD + "; from deepchecks_telemetry.spool.recording import connections, record; record.close(); "
        "assert connections._kept.connections == []"
    )
    assert os.path.getsize(ours.spool + "-wal") > 0


@forks
def test_the_exit_of_a_forked_child_closes_nothing_of_its_parent(ours: Home, run: Run) -> None:
    run(f"{RECORD}\nimport os\npid = os.fork()\nif pid: os.waitpid(pid, 0); assert record('run-suite')")
    assert os.path.getsize(ours.spool + "-wal") > 0
    assert read_accounts(ours).pending == 2
