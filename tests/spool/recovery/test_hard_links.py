"""After a backup by hard links, recording continues in new files, and the backup is unchanged."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.ledger import batches
from deepchecks_telemetry.spool.batches.seal import Row, seal
from deepchecks_telemetry.spool.doctor import OK, WARNING, WRONG, examine
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.quarantine import find_set_aside
from deepchecks_telemetry.spool.files.regular import is_hard_linked_database
from deepchecks_telemetry.spool.files.residue import find_residue
from deepchecks_telemetry.spool.recovery import hard_links
from deepchecks_telemetry.spool.recovery.hard_links import separate
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.spool.wipe import erase

Run = Callable[..., str]
Render = Callable[[str, list[Row]], bytes]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no cp -al")
RECORD = "import os; from deepchecks_telemetry.spool import record; print(record('run-check')); os._exit(0)"


def back_up(dirs: Home, target: Path) -> dict[str, bytes]:
    shutil.copytree(dirs.state, target, copy_function=os.link)
    return read_files(target)


def read_files(folder: Path) -> dict[str, bytes]:
    """In another process, because closing SQLite's files in this one would drop its locks."""
    code = (
        "import pathlib, sys\n"
        "for path in pathlib.Path(sys.argv[1]).iterdir(): print(path.name, path.read_bytes().hex())"
    )
    output = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True).stdout
    return {name: bytes.fromhex(content) for name, _, content in (line.partition(" ") for line in output.splitlines())}


@pytest.fixture
def backup(dirs: Home, render: Render, run: Run, tmp_path: Path) -> dict[str, bytes]:
    """The bytes of a backup of a spool that has a batch, an event in its WAL, and both lock files."""
    assert run(RECORD) == "True\n"
    assert seal(dirs, render)
    assert run(RECORD) == "True\n"
    return back_up(dirs, tmp_path / "backup")


def test_recording_continues_after_a_backup_and_the_backup_is_unchanged(
    dirs: Home, backup: dict[str, bytes], run: Run, tmp_path: Path
) -> None:
    assert set(backup) >= {"spool.db", "spool.db-wal", "spool.lock"}
    before = [batch.sha256 for batch in batches(dirs)]
    assert run(RECORD) == "True\n"
    stats = read_accounts(dirs)
    assert (stats.recorded, stats.balance, stats.dropped) == (3, 0, {})
    assert [batch.sha256 for batch in batches(dirs)] == before
    assert run(RECORD) == "True\n"
    assert read_files(tmp_path / "backup") == backup
    assert not is_hard_linked_database(dirs.spool)
    assert find_set_aside(dirs) == []
    assert not [found for found in examine(dirs) if found.level == WRONG]


def test_a_program_that_records_during_a_backup_loses_nothing(dirs: Home, run: Run, tmp_path: Path) -> None:
    assert record("run-check")
    before = back_up(dirs, tmp_path / "backup")
    assert record("run-check")  # its file is still at the path, and the backup shares it
    separate(dirs, 1.0)
    acknowledged = 2 + sum(record("run-check") for _ in range(20))
    stats = read_accounts(dirs)
    assert (stats.recorded, stats.balance) == (acknowledged, 0)
    assert acknowledged > 2
    assert set(read_files(tmp_path / "backup")) == set(before)


def test_nightly_backups_do_not_stop_recording(dirs: Home, run: Run, tmp_path: Path) -> None:
    for night in range(8):
        assert run(RECORD) == "True\n"
        back_up(dirs, tmp_path / str(night))
    assert len(find_set_aside(dirs)) == 7
    stats = read_accounts(dirs)
    assert (stats.recorded, stats.balance, stats.dropped) == (8, 0, {})


def test_doctor_separates_the_spool_and_reports_it(dirs: Home, backup: dict[str, bytes], tmp_path: Path) -> None:
    found = {finding.name: finding for finding in examine(dirs)}
    assert found["hard link"].level == WARNING
    assert found["conservation"].level == OK
    assert "hard link" not in {finding.name for finding in examine(dirs)}
    assert read_files(tmp_path / "backup") == backup


@pytest.mark.parametrize("later", ["nothing", "a new spool"])
def test_a_crash_half_way_is_completed_by_the_next_command(
    dirs: Home, backup: dict[str, bytes], run: Run, monkeypatch: pytest.MonkeyPatch, later: str
) -> None:
    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(hard_links, "_copy_back", crash)
        with pytest.raises(KeyboardInterrupt):
            separate(dirs, 1.0)
    assert not os.path.exists(dirs.spool)
    expected = 2
    if later == "a new spool":
        monkeypatch.setattr(hard_links, "find_set_aside", lambda _: [])
        assert run(RECORD) == "True\n"
        monkeypatch.undo()
        expected = 3
    stats = read_accounts(dirs)
    assert (stats.recorded, stats.balance, stats.dropped) == (expected, 0, {})
    assert find_set_aside(dirs) == []


def test_disable_wipes_the_spool_and_not_the_backup(dirs: Home, backup: dict[str, bytes], tmp_path: Path) -> None:
    erased = erase(dirs)
    assert erased.before.recorded == 2
    assert find_residue(dirs, erased.markers)[1] == []
    assert read_files(tmp_path / "backup") == backup


MANY = """
import os
from deepchecks_telemetry.spool import record
print(sum(record("run-check") for _ in range(3000)), flush=True)
os._exit(0)
"""


def test_backups_while_programs_record_lose_and_double_nothing(dirs: Home, run: Run, tmp_path: Path) -> None:
    command = [sys.executable, "-c", MANY]
    hosts = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    begun = 0
    for number in range(12):
        (tmp_path / str(number)).mkdir()
        for name in os.listdir(dirs.state) if os.path.isdir(dirs.state) else ():
            with suppress(FileNotFoundError):  # it was renamed meanwhile
                os.link(os.path.join(dirs.state, name), tmp_path / str(number) / name)
        begun += run(RECORD) == "True\n"
        if number % 4 == 3:
            assert read_accounts(dirs).balance == 0
    acknowledged = begun + sum(int(host.communicate(timeout=60)[0]) for host in hosts)
    stats = read_accounts(dirs)
    assert stats.balance == 0
    # A record that was stored after its lease is not acknowledged.
    assert 0 <= stats.recorded - sum(stats.dropped.values()) - acknowledged <= 3 * 12
    assert begun > 6
