"""A host that closes descriptors that are not its own keeps its files, and recording continues."""

import sys
from collections.abc import Callable

import pytest

from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.quarantine import quarantined
from deepchecks_telemetry.spool.stats import read_accounts

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="on Windows SQLite uses handles, not descriptors")

Run = Callable[..., str]

# Closes the descriptors named by `close`, opens files with a pattern, records again, and compares its files.
HOST = """
import os, sys, tempfile
from deepchecks_telemetry.spool import record
close, files = sys.argv[1], int(sys.argv[2])
assert record("run-check")
numbers = sorted(int(name) for name in os.listdir("/dev/fd") if "spool.db" in os.path.realpath(f"/dev/fd/{name}"))
chosen = {"all": range(3, 1024), "database": numbers[:1], "wal": numbers[1:2], "shm": numbers[2:]}[close]
for number in chosen:
    try: os.close(number)
    except OSError: pass
folder, pattern = tempfile.mkdtemp(), b"pattern!" * 1024
held = []
for number in range(files):
    held.append(os.open(f"{folder}/{number}", os.O_RDWR | os.O_CREAT))
    os.write(held[-1], pattern)
results = [record("run-suite") for _ in range(50)]
foreign = [number for number in range(files) if open(f"{folder}/{number}", "rb").read() != pattern]
assert foreign == [], foreign
assert all(os.pread(descriptor, 9000, 0) == pattern for descriptor in held)
print(1 + sum(results))
"""


@pytest.mark.parametrize("close", ["all", "database", "wal", "shm"])
@pytest.mark.parametrize("files", [0, 20])
def test_a_host_that_closes_descriptors_keeps_its_files_and_records(
    dirs: Home, run: Run, close: str, files: int
) -> None:
    acknowledged = int(run(HOST, close, str(files)))
    stats = read_accounts(dirs)
    assert (acknowledged, stats.pending, stats.balance) == (51, 51, 0)


# An event is due for a fold in the 10 ms in which only the descriptors of the WAL and shared memory are checked.
FOLD = """
import os, sys, tempfile
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.recording import record as recording
assert all([record("run-check") for _ in range(999)])
recording._writer._watch.next_check = float("inf")
os.close(recording._writer._session.descriptors.database)
path = tempfile.mkdtemp() + "/own"
open(path, "wb").write(b"pattern!" * 1024)
own = os.open(path, os.O_RDWR)
os.dup2(own, recording._writer._session.descriptors.database)
assert record("run-check")
recording._writer._watch.next_check = 0.0
assert not record("run-check")  # the number is the host's now
assert open(path, "rb").read() == b"pattern!" * 1024
"""


def test_a_fold_does_not_write_to_a_file_of_the_host(dirs: Home, run: Run) -> None:
    run(FOLD)
    assert quarantined(dirs) == []
    assert (read_accounts(dirs).pending, read_accounts(dirs).dropped) == (1000, {})


def test_if_the_host_uses_all_descriptor_numbers_nothing_more_is_recorded(dirs: Home, run: Run) -> None:
    """SQLite has one state for all connections to a file, so another connection would lock the host's file."""
    acknowledged = int(run(HOST, "all", "400"))
    stats = read_accounts(dirs)
    assert (acknowledged, stats.pending, stats.balance) == (1, 1, 0)


def test_descriptors_leave_low_numbers_to_the_host(dirs: Home, run: Run) -> None:
    lines = run(
        "import os; from deepchecks_telemetry.spool import record; assert record('run-check')\n"
        "print(*[n for n in os.listdir('/dev/fd') if 'spool.db' in os.path.realpath(f'/dev/fd/{n}')])\n"
        "print(os.open(os.devnull, os.O_RDONLY))"
    ).splitlines()
    assert min(map(int, lines[0].split())) >= 256
    assert int(lines[1]) < 10


@pytest.mark.parametrize("limit", [40, 256, 258, 262, 272])
def test_a_low_limit_of_open_files_does_not_break_the_host(dirs: Home, run: Run, limit: int) -> None:
    run(
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))\n"
        "from deepchecks_telemetry.spool import record; assert record('run-check')"
    )
    assert read_accounts(dirs).pending == 1


def test_closing_leaves_the_files_as_a_killed_process_would(dirs: Home, run: Run) -> None:
    script = (
        "from deepchecks_telemetry.spool import record; from deepchecks_telemetry.spool.recording.record import close\n"
        "import os; assert record('run-check'); before = os.stat({wal!r}).st_size; close()\n"
        "assert os.stat({wal!r}).st_size == before > 0\n"
        "print([n for n in os.listdir('/dev/fd') if int(n) >= 256 and 'spool' in os.path.realpath(f'/dev/fd/{{n}}')])"
    )
    assert run(script.format(wal=dirs.spool + "-wal")) == "[]\n"
    assert read_accounts(dirs).pending == 1
