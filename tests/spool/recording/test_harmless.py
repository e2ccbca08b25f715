"""The host program never notices: no socket, no thread, no process, nothing said, nothing heavy, no exception."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.stats import read_accounts

Run = Callable[..., str]
HEAVY = {
    "requests",
    "urllib3",
    "click",
    "sqlite_utils",
    "filelock",
    "pandas",
    "socket",
    "ssl",
}

# What the interpreter does is told by its audit events; what record() loads, by what is there before and after.
WATCH = """
import atexit, sys
before = set(sys.modules)
acts, hooked = [], []
atexit.register = lambda *a, **k: hooked.append(a)
sys.addaudithook(lambda event, args: acts.append(event))
from deepchecks_telemetry.spool import record
assert all(record(name) for name in ["run-check", "run-suite", "package-import"] * 20)
wanted = ("socket.", "subprocess.", "os.fork", "os.exec", "os.posix_spawn", "os.system", "_thread.start", "ctypes.")
did = [act for act in acts if act.startswith(wanted)] + hooked
print(*{"acts": did, "modules": sys.modules, "loaded": set(sys.modules) - before}[sys.argv[1]])
"""

SILENT = """
import os, sys
from deepchecks_telemetry.spool import record
told = [record(name) for name in ["run-check", "nonsense", None, 7]]
assert sum(told) == int(sys.argv[1]), told
"""


def test_recording_opens_no_socket_starts_no_process_and_installs_no_hook(ours: Home, run: Run) -> None:
    run("from deepchecks_telemetry.spool import record; assert record('run-check')")
    assert run(WATCH, "acts") == "\n"
    assert read_accounts(ours).recorded == 61


def test_recording_to_an_existing_spool_imports_nothing_heavy(ours: Home, run: Run) -> None:
    run("from deepchecks_telemetry.spool import record; assert record('run-check')")
    loaded = run(WATCH, "modules").split()
    assert "sqlite3" in loaded
    assert HEAVY & set(loaded) == set()


def break_nothing(ours: Home) -> None:
    """The ground is good."""


def break_by_a_file_in_the_way(ours: Home) -> None:
    os.makedirs(os.path.dirname(ours.state))
    Path(ours.state).write_text("a file")


def break_by_a_folder_at_the_spools_place(ours: Home) -> None:
    os.makedirs(ours.spool, mode=0o700)


def break_by_a_folder_at_the_choices_place(ours: Home) -> None:
    os.makedirs(ours.mode)


def break_by_a_folder_at_the_locks_place(ours: Home) -> None:
    os.makedirs(ours.lock)
    os.chmod(ours.state, 0o700)


@pytest.mark.parametrize(
    ("ground", "recorded"),
    [
        (break_nothing, 1),
        (break_by_a_file_in_the_way, 0),
        (break_by_a_folder_at_the_spools_place, 0),
        (break_by_a_folder_at_the_choices_place, 0),
        (break_by_a_folder_at_the_locks_place, 0),
    ],
)
def test_record_prints_nothing_and_never_raises(
    ours: Home, run: Run, ground: Callable[[Home], None], recorded: int
) -> None:
    ground(ours)
    assert run(SILENT, str(recorded)) == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a device that is always full")
def test_a_state_path_that_is_not_a_directory_does_not_raise(run: Run) -> None:
    assert run(SILENT, "0", DEEPCHECKS_TELEMETRY_DIR="/dev/full") == ""
    assert run(SILENT, "0", DEEPCHECKS_TELEMETRY_DIR="/proc/self/nowhere") == ""
