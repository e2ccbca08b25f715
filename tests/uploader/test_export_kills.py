"""After an export or a `disable` is killed between two steps, no count is lost and `disable` finds every file."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.recording.record import close
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.spool.wipe import erase
from deepchecks_telemetry.uploader.flush import flush
from deepchecks_telemetry.uploader.offline.bundle import read_file
from deepchecks_telemetry.uploader.offline.export import export
from deepchecks_telemetry.uploader.wire.outcome import DELIVERED

if TYPE_CHECKING:
    from tests.uploader.conftest import Receiver

# On Windows os.kill() with SIGTERM is TerminateProcess, after which the process executes nothing either.
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
# Kills itself before or after the n-th call of a function.
KILLED_AT_TURN = """
import importlib, os, sys
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.wipe import erase
from deepchecks_telemetry.uploader.offline.export import export
act, module, name, turn, moment, stick, signal = sys.argv[1:]
owner = importlib.import_module(module)
real, calls = getattr(owner, name), []
def killed_at_turn(*values, **named):
    calls.append(1)
    if moment == "before" and len(calls) == int(turn):
        os.kill(os.getpid(), int(signal))
    done = real(*values, **named)
    if len(calls) == int(turn):
        os.kill(os.getpid(), int(signal))
    return done
setattr(owner, name, killed_at_turn)
if act == "export":
    list(export(find_home(), stick))
else:
    erase(find_home())
"""
EXPORT = "deepchecks_telemetry.uploader.offline.export"
STEPS = {
    "nothing is listed": (EXPORT, "register_export", "1", "before"),
    "the list is partly written": ("os", "replace", "1", "before"),
    "it is listed": (EXPORT, "register_export", "1", "after"),
    "the file is written under its temporary name": ("os", "replace", "2", "before"),
    "the file exists": ("os", "replace", "2", "after"),
    "the batch is not exported yet": (EXPORT, "mark_exported", "1", "before"),
    "the batch is exported": (EXPORT, "mark_exported", "1", "after"),
}

THEN = ["", "exported again", "exported with more", "damaged", "damaged and put aside"]
if os.name == "nt":  # under Wine each of them takes several seconds at each of the steps
    THEN = ["", "damaged"]


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    folder = tmp_path / "stick-of-project-x"
    folder.mkdir()
    return folder


@pytest.fixture(params=STEPS)
def killed(request: pytest.FixtureRequest, spool: Home, stick: Path) -> str:
    """An export of three events is killed at this step."""
    kill("export", *STEPS[request.param], stick=stick)
    exported = 3 if request.param == "the batch is exported" else 0
    accounts = read_accounts(spool)
    assert (accounts.exported, accounts.sealed, accounts.balance) == (exported, 3 - exported, 0)
    return str(request.param)


def kill(act: str, module: str, name: str, turn: str, moment: str, *, stick: Path) -> None:
    command = [sys.executable, "-c", KILLED_AT_TURN, act, module, name, turn, moment, str(stick), f"{KILL:d}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert abs(done.returncode) == KILL, done.stderr


def traces(folder: Path, stick: Path) -> list[str]:
    """The files that contain the name of an event or of the directory that was exported to."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    markers = (b"run-check", stick.name.encode())
    return [path.name for path in files if any(marker in path.read_bytes() for marker in markers)]


def destroy(home: Home) -> None:
    """Damage the spool as a broken disk would, and remove the other files of SQLite."""
    if os.name == "nt":
        close()  # Windows does not remove an open file
    for path in Path(home.state).glob("spool.db*"):
        path.write_bytes(b"no database" * 1000) if path.name == "spool.db" else path.unlink()


@pytest.mark.parametrize("then", THEN)
def test_disable_leaves_no_file_of_an_export_that_was_killed(
    killed: str, spool: Home, stick: Path, tmp_path: Path, then: str
) -> None:
    if then == "exported with more":
        assert record("run-suite")
    if then.startswith("exported"):
        list(export(spool, str(stick)))
    if then.startswith("damaged"):
        destroy(spool)
    if then == "damaged and put aside":
        assert record("run-suite")  # into a new spool, which does not contain the batches of the previous one
        read_accounts(spool)
    erased = erase(spool)
    assert os.listdir(stick) == [], killed
    assert traces(tmp_path, stick) == []
    assert [path for path in erased.exports_left if os.path.exists(path)] == []


def test_the_next_export_into_the_same_directory_removes_the_part_file_of_a_killed_one(
    spool: Home, stick: Path
) -> None:
    kill("export", *STEPS["the file is written under its temporary name"], stick=stick)
    assert [path.suffix for path in stick.iterdir()] == [".part"]
    assert record("run-suite")  # so that the next file has another content and another name
    made = list(export(spool, str(stick)))
    assert [str(path) for path in stick.iterdir()] == [file.path for file in made]
    assert read_accounts(spool).exported == 4


def test_a_killed_export_is_flushed_or_exported_and_no_count_is_lost(
    killed: str, spool: Home, stick: Path, receiver: "Receiver"
) -> None:
    if killed == "the batch is exported":
        (sent,) = flush(spool, receiver.endpoint, exported=True)
    else:
        (made,) = export(spool, str(stick))
        assert len(read_file(made.path)) == 1
        (sent,) = flush(spool, receiver.endpoint, exported=True)
    assert sent.outcome.kind == DELIVERED
    accounts = read_accounts(spool)
    assert (accounts.delivered, accounts.exported, accounts.sealed, accounts.balance) == (3, 0, 0, 0)


FILES = "deepchecks_telemetry.spool.batches.export_files"
DISABLE = {
    "no file is removed": (FILES, "_unlink", "1", "before"),
    "one file is removed": (FILES, "_unlink", "1", "after"),
    "the list is still there": (FILES, "_remove_ledger", "1", "after"),
    "the list is gone": ("deepchecks_telemetry.spool.wipe", "remove_exports", "1", "after"),
}


@pytest.mark.parametrize("step", DISABLE)
def test_a_disable_that_is_killed_between_two_files_is_finished_by_the_next(
    step: str, spool: Home, stick: Path, tmp_path: Path
) -> None:
    list(export(spool, str(stick)))
    assert record("run-check")
    list(export(spool, str(stick)))
    assert len(os.listdir(stick)) == 2
    kill("disable", *DISABLE[step], stick=stick)
    erase(spool)
    assert os.listdir(stick) == []
    assert traces(tmp_path, stick) == []


PAUSED = """
import sys
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.uploader.offline import export as exporting
real = exporting.replace_file
def pause(*values, **options):
    real(*values, **options)
    print("written", flush=True)
    sys.stdin.readline()
exporting.replace_file = pause
list(exporting.export(find_home(), sys.argv[1]))
"""


def test_an_export_that_began_before_disable_ends_before_it(spool: Home, stick: Path) -> None:
    """`disable` waits for the lock that an export holds from before its file is listed until it is marked."""
    command, pipe = [sys.executable, "-c", PAUSED, str(stick)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as exporter:
        assert exporter.stdin is not None
        assert exporter.stdout is not None
        assert exporter.stdout.readline() == "written\n"
        erased = erase(spool, on_wait=exporter.stdin.close)
    assert (exporter.returncode, len(erased.removed), os.listdir(stick)) == (0, 1, [])
