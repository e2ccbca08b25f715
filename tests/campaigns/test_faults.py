"""Fault campaign: the n-th system call fails, for n = 1 … until none is left; no acknowledged event is lost."""

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from deepchecks_telemetry.spool.doctor import WRONG, examine
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.files.residue import find_residue
from deepchecks_telemetry.spool.recovery import maintenance
from deepchecks_telemetry.spool.stats import read_accounts, read_unsent

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="strace is a Linux program"),
    pytest.mark.timeout(7200),
]
ERRORS = ("ENOSPC", "EIO", "EROFS", "EACCES", "EDQUOT")
# Calls that a program makes thousands of times are counted only on our files.
ON_OUR_FILES = ("open,openat", "stat,newfstatat", "fcntl", "pread64")
ANYWHERE = ("write", "pwrite64", "ftruncate", "fsync", "fdatasync", "unlink", "rename", "mkdir", "fallocate")
FILES = (
    *("state", "state/spool.db", "state/spool.db-wal", "state/spool.db-shm", "state/spool.lock", "state/upload.lock"),
    *("state/spool.db.new", "state/spool.db.new-wal", "state/spool.db.new-shm", "state/spool.db.new-journal"),
    *("config", "config/mode"),
)

RECORD = """
import os
from deepchecks_telemetry.spool import record
stored = [record("run-suite") for _ in range(4)]
os._exit(100 + stored.count(True))  # as the exit code, because printing would be a write() too
"""
SEAL = """
import sys
from deepchecks_telemetry.spool.errors import SpoolError
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.batches.seal import seal
try:
    seal(find_home(), lambda installation, rows: repr(rows).encode())
except (SpoolError, OSError) as error:
    sys.exit(f"Error: {error}")
"""
FILL = """
from deepchecks_telemetry.spool.batches.ledger import Disposition, batches, settle
from deepchecks_telemetry.spool.states import BatchState
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.seal import seal
from deepchecks_telemetry.spool.db.connection import opened
home = find_home()
def render(installation, rows):
    return repr(rows).encode()
assert all(record("run-check") for _ in range(30))
assert seal(home, render)
(batch,) = batches(home, states=("sealed",))
assert settle(home, batch, Disposition(BatchState.DELIVERED, "test"))
assert all(record("run-check") for _ in range(40))
with opened(home) as connection:
    connection.execute("DELETE FROM origin")  # so that a copy does not count as a copy
"""
FILLED = 70


class Act(NamedTuple):
    """A process in which the fault occurs: its command, its home, and the check of the result."""

    name: str
    command: list[str]
    home: str
    check_result: Callable[[Home, int, str], None]


class Fault(NamedTuple):
    """One fault: the n-th of these calls fails with this error."""

    calls: str
    error: str
    number: int


def check_recording(home: Home, code: int, stderr: str) -> None:
    assert code in range(100, 105), "the host did not run to its end"
    assert stderr == ""
    check(home, acknowledged=code - 100, attempted=4)


def check_sealing(home: Home, code: int, stderr: str) -> None:
    assert_reported(code, stderr)
    check(home, acknowledged=0, attempted=0)


def check_disabling(home: Home, code: int, stderr: str) -> None:
    assert_reported(code, stderr)
    if code == 0:
        accounts = read_accounts(home)
        assert (accounts.recorded, accounts.installation_id) == (0, None)
        assert [name for name in os.listdir(home.state) if name.startswith("spool.db.")] == []
        assert find_residue(home, MARKS)[1] == []
    else:
        check(home, acknowledged=0, attempted=0, wiped=True)


def assert_reported(code: int, stderr: str) -> None:
    assert code in (0, 1), stderr
    assert "Traceback" not in stderr
    if code == 1:
        assert stderr.startswith("Error: "), stderr
        assert stderr.count("\n") == 1, stderr


def check(home: Home, *, acknowledged: int, attempted: int, wiped: bool = False) -> None:
    accounts = read_accounts(home)
    assert accounts.balance == 0
    assert [finding for finding in examine(home) if finding.level == WRONG] == []
    kept = accounts.pending + accounts.sealed + accounts.parked + accounts.delivered
    lost = accounts.dropped.get("damage", 0)
    filled = FILLED if os.path.exists(os.path.join(home.state, "filled")) else 0
    assert kept + lost <= filled + attempted
    if not wiped:
        assert kept >= filled + acknowledged
        suites = sum(waiting.count for waiting in read_unsent(home) if waiting.event == "run-suite")
        assert acknowledged <= suites <= attempted


MARKS: list[bytes] = []


@pytest.fixture
def acts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Act]:
    """The processes, each of whose runs gets a copy of its home."""
    monkeypatch.setattr(maintenance, "SETTLED_S", 0.02)  # no process is running while the accounts are read
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("DEEPCHECKS_TELEMETRY")
    full = tmp_path / "full"
    environ = os.environ | {"DEEPCHECKS_TELEMETRY_DIR": str(full)}
    subprocess.run([sys.executable, "-c", FILL], env=environ, check=True, timeout=60)
    (full / "state" / "filled").touch(mode=0o600)
    shutil.copytree(full, tmp_path / "copy")
    MARKS[:] = [
        str(read_accounts(find_home({"DEEPCHECKS_TELEMETRY_DIR": str(tmp_path / "copy")})).installation_id).encode()
    ]
    disable = [sys.executable, "-m", "deepchecks_telemetry.cli", "telemetry", "disable"]
    return [
        Act("a first recording", [sys.executable, "-c", RECORD], "", check_recording),
        Act("a recording", [sys.executable, "-c", RECORD], "full", check_recording),
        Act("a sealing", [sys.executable, "-c", SEAL], "full", check_sealing),
        Act("a disabling", disable, "full", check_disabling),
    ]


def test_no_failing_system_call_harms_the_host_or_loses_an_acknowledged_event(
    tmp_path: Path, acts: list[Act], in_full: bool, tool: Callable[[str], str]
) -> None:
    hits: Counter[str] = Counter()
    begun = time.monotonic()
    for turn, (act, calls, error) in enumerate(cases(acts, in_full=in_full)):
        number = 1 if in_full else 1 + turn % 3
        while number and run(tool("strace"), tmp_path, act, Fault(calls, error, number)):
            hits[act.name] += 1
            number = number + 1 if in_full else 0
    assert set(hits) == {act.name for act in acts}
    summary = ", ".join(f"{count} in {name}" for name, count in hits.items())
    print(f"\nfault campaign: {hits.total()} faults in {time.monotonic() - begun:.0f} s: {summary}")


def cases(acts: list[Act], *, in_full: bool) -> Iterator[tuple[Act, str, str]]:
    """Every call with every error; in the short form every call with one of the errors."""
    for index, act in enumerate(acts):
        for number, calls in enumerate((*ON_OUR_FILES, *ANYWHERE)):
            for error in ERRORS if in_full else (ERRORS[(index + number) % len(ERRORS)],):
                yield act, calls, error


def run(strace: str, folder: Path, act: Act, fault: Fault) -> bool:
    """Whether the fault occurred; if so, check the result."""
    home, log = folder / "home", folder / "calls"
    shutil.rmtree(home, ignore_errors=True)
    if act.home:
        shutil.copytree(folder / act.home, home)
    limits = [part for file in FILES for part in ("-P", str(home / file))] if fault.calls in ON_OUR_FILES else []
    trace = [strace, "-f", "-y", "-qq", "-o", str(log), "-e", f"trace={fault.calls}", *limits]
    inject = ["-e", f"inject={fault.calls}:error={fault.error}:when={fault.number}"]
    environ = os.environ | {"DEEPCHECKS_TELEMETRY_DIR": str(home)}
    done = subprocess.run(
        [*trace, *inject, *act.command],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
    )
    hit = [line for line in log.read_text("utf-8", "replace").splitlines() if "(INJECTED)" in line]
    if any(str(home) in line for line in hit):
        try:
            act.check_result(find_home({"DEEPCHECKS_TELEMETRY_DIR": str(home)}), done.returncode, done.stderr)
        except BaseException:
            print(f"\n{act.name}: {fault}\n{hit[0]}\n{done.stderr}")
            raise
    return bool(hit)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, timeout=30).returncode:
        pytest.skip("only root can mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True, timeout=30)


RECORD_ON = """
import sys
from deepchecks_telemetry.spool import record
print(sum(record("run-suite") for _ in range(int(sys.argv[1]))))
"""


def test_a_full_disk_is_harmless_and_recording_continues_once_there_is_space(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "160k") as disk:
        environ = os.environ | {"DEEPCHECKS_TELEMETRY_DIR": str(disk / "home")}

        def record(times: int) -> int:
            done = subprocess.run(
                [sys.executable, "-c", RECORD_ON, str(times)], env=environ, capture_output=True, text=True, timeout=60
            )
            assert (done.returncode, done.stderr) == (0, "")
            return int(done.stdout)

        stored = record(10)
        assert stored == 10
        fill_up(disk / "ballast")
        stored += record(400)
        assert stored < 410
        (disk / "ballast").unlink()
        assert (more := record(10)) == 10
        accounts = read_accounts(find_home(environ))
        assert (accounts.pending, accounts.balance) == (stored + more, 0)


def fill_up(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (4096, 1):
            with pytest.raises(OSError, match="No space left"):
                file.writelines(itertools.repeat(b"x" * size))
