"""The host is not disturbed: no socket, thread, process, output, heavy import or exception."""

import os
import sys
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
    "deepchecks_telemetry.spool.states",
    # Only for a spool that is missing, or a copy.
    "deepchecks_telemetry.spool.db.create",
    "deepchecks_telemetry.spool.db.emptying",
}

# Audit events report what the interpreter does; comparing `sys.modules` shows what record() imports.
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
results = [record(name) for name in ["run-check", "nonsense", None, 7]]
assert sum(results) == int(sys.argv[1]), results
"""


def test_recording_opens_no_socket_starts_no_process_and_installs_no_hook(dirs: Home, run: Run) -> None:
    run("from deepchecks_telemetry.spool import record; assert record('run-check')")
    assert run(WATCH, "acts") == "\n"
    assert read_accounts(dirs).recorded == 61


def test_recording_to_an_existing_spool_imports_nothing_heavy(dirs: Home, run: Run) -> None:
    run("from deepchecks_telemetry.spool import record; assert record('run-check')")
    loaded = run(WATCH, "modules").split()
    assert "sqlite3" in loaded
    assert HEAVY & set(loaded) == set()


def break_nothing(dirs: Home) -> None:
    """Break nothing."""


def break_by_a_file_in_the_way(dirs: Home) -> None:
    os.makedirs(os.path.dirname(dirs.state))
    Path(dirs.state).write_text("a file")


def break_by_a_folder_at_the_spools_place(dirs: Home) -> None:
    os.makedirs(dirs.spool, mode=0o700)


def break_by_a_folder_at_the_choices_place(dirs: Home) -> None:
    os.makedirs(dirs.mode)


def break_by_a_folder_at_the_locks_place(dirs: Home) -> None:
    os.makedirs(dirs.lock)
    os.chmod(dirs.state, 0o700)


@pytest.mark.parametrize(
    ("break_it", "recorded"),
    [
        (break_nothing, 1),
        (break_by_a_file_in_the_way, 0),
        (break_by_a_folder_at_the_spools_place, 0),
        (break_by_a_folder_at_the_choices_place, 0),
        (break_by_a_folder_at_the_locks_place, 0),
    ],
)
def test_record_prints_nothing_and_never_raises(
    dirs: Home, run: Run, break_it: Callable[[Home], None], recorded: int
) -> None:
    break_it(dirs)
    assert run(SILENT, str(recorded)) == ""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a device that is always full")
def test_a_state_path_that_is_not_a_directory_does_not_raise(run: Run) -> None:
    assert run(SILENT, "0", DEEPCHECKS_TELEMETRY_DIR="/dev/full") == ""
    assert run(SILENT, "0", DEEPCHECKS_TELEMETRY_DIR="/proc/self/nowhere") == ""
