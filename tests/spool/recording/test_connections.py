"""A process leaves its connection open at exit: no checkpoint, and a forked child closes nothing."""

import os
from collections.abc import Callable

import pytest

from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.stats import read_accounts

Run = Callable[..., str]
RECORD = "from deepchecks_telemetry.spool import record; assert record('run-check')"
posix = pytest.mark.skipif(os.name != "posix", reason="descriptors")
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def test_a_process_exits_without_a_checkpoint(dirs: Home, run: Run) -> None:
    run(RECORD)
    assert os.path.getsize(dirs.spool + "-wal") > 0
    run(RECORD)
    assert read_accounts(dirs).pending == 2


def test_a_closed_connection_is_not_kept(dirs: Home, run: Run) -> None:
    run(
        RECORD + "; from deepchecks_telemetry.spool.recording import connections, record; record.close(); "
        "assert connections._kept.connections == []"
    )
    assert os.name == "nt" or os.path.getsize(dirs.spool + "-wal") > 0  # on Windows SQLite's own close checkpoints


# A signal handler raises before the connection's files are marked and again while it is closed; the host catches both.
TWICE = """
import os, sys
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.recording import connections, descriptors
assert record("run-check")
from deepchecks_telemetry.spool.recording.record import close
close()
mark, close_leftovers, seen, held = descriptors.mark, connections.close_leftovers, [], []
def interrupt(*_):
    connections.close_leftovers = interrupt
    raise KeyboardInterrupt
descriptors.mark = interrupt
try: record("run-check")
except KeyboardInterrupt as error: held.append(error)
assert held and held[0].__context__
descriptors.mark, connections.close_leftovers = mark, close_leftovers
assert record("run-check")
print(len([n for n in os.listdir("/dev/fd") if "spool.db" in os.path.realpath(f"/dev/fd/{n}")]))
"""


@posix
def test_a_connection_that_an_exception_left_open_is_closed_before_the_next(dirs: Home, run: Run) -> None:
    assert run(TWICE) == "3\n"
    assert read_accounts(dirs).pending == 2


@forks
def test_a_forked_child_does_not_close_its_parents_connection(dirs: Home, run: Run) -> None:
    run(f"{RECORD}\nimport os\npid = os.fork()\nif pid: os.waitpid(pid, 0); assert record('run-suite')")
    assert os.path.getsize(dirs.spool + "-wal") > 0
    assert read_accounts(dirs).pending == 2
