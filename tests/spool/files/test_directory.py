"""In a directory that cannot or must not contain a spool nothing is created, nothing blocks, and `examine` says why."""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.db.schema import BREAKING
from deepchecks_telemetry.spool.doctor import OK, WRONG, examine
from deepchecks_telemetry.spool.errors import SpoolError
from deepchecks_telemetry.spool.files.directory import check_state_dir
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.recording import record as recording
from deepchecks_telemetry.spool.stats import read_accounts

Run = Callable[..., str]
Sql = Callable[..., list[Any]]
posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can do that")


def find_finding(dirs: Home, name: str) -> tuple[str, str]:
    return next((found.level, found.text) for found in examine(dirs) if found.name == name)


def is_refused(seconds: float = 1.0) -> bool:
    """Whether records are refused, without waiting."""
    begun = time.monotonic()
    acknowledged = [record("run-check") for _ in range(20)]
    assert time.monotonic() - begun < seconds
    return not any(acknowledged)


def test_a_missing_directory_is_created_for_this_user_alone(dirs: Home) -> None:
    assert record("run-check")
    assert read_accounts(dirs).recorded == 1


@posix
def test_a_directory_that_cannot_be_created_is_an_error(dirs: Home) -> None:
    Path(os.path.dirname(dirs.state)).write_text("a file stands where the folder should")
    assert is_refused()
    assert Path(os.path.dirname(dirs.state)).is_file()
    with pytest.raises(SpoolError):
        check_state_dir(dirs)


@pytest.fixture
def read_only(dirs: Home, tmp_path: Path) -> Iterator[Path]:
    """A read-only file system at the path of the home."""
    home = Path(dirs.state).parent
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(home)]
    if sys.platform != "linux" or os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a read-only file system here")
    yield home
    unmount(home)


def test_a_read_only_directory_is_refused_and_not_changed(dirs: Home, read_only: Path) -> None:
    assert is_refused()
    assert os.listdir(read_only) == []
    assert read_accounts(dirs).recorded == 0


def test_a_spool_that_has_become_read_only_is_reported(dirs: Home, tmp_path: Path) -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can remount a file system")
    home = Path(dirs.state).parent
    home.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(home)], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        code = "from deepchecks_telemetry.spool import record; import os; assert record('run-check'); os._exit(0)"
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
        subprocess.run(["mount", "-o", "remount,ro", str(home)], check=True, timeout=30)
        assert is_refused()
        assert WRONG in {found.level for found in examine(dirs)}
        subprocess.run(["mount", "-o", "remount,rw", str(home)], check=True, timeout=30)
        assert read_accounts(dirs).recorded == 1
    finally:
        close_our_own()
        subprocess.run(["umount", str(home)], check=True, timeout=30)


def unmount(folder: Path) -> None:
    """Unmount; this fails, and so does the test, while any connection is still open."""
    done = subprocess.run(["umount", str(folder)], capture_output=True, text=True, timeout=30)
    if done.returncode:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=30)
        pytest.fail(done.stderr)


def close_our_own() -> None:
    recording.close()


@posix
@root
def test_a_directory_of_another_user_is_refused(dirs: Home) -> None:
    """What sudo leaves behind: root's directory in the user's home, or the reverse."""
    os.makedirs(dirs.state, mode=0o700)
    os.chown(dirs.state, 65_534, 65_534)
    assert is_refused()
    assert os.listdir(dirs.state) == []
    assert find_finding(dirs, "directory") == (WRONG, f"the state directory {dirs.state} belongs to another user")


@posix
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o2775, 0])
def test_a_directory_that_others_can_write_is_closed_to_them_and_used(dirs: Home, mode: int) -> None:
    os.makedirs(dirs.state)
    os.chmod(dirs.state, mode)
    assert record("run-check")
    assert stat.S_IMODE(os.stat(dirs.state).st_mode) & 0o777 == 0o700
    assert find_finding(dirs, "directory") == (OK, "owned by you, and not writable by other users")


@posix
def test_a_directory_that_cannot_be_closed_to_others_is_refused(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """On vfat, or a share whose permissions are set by the mount."""
    os.makedirs(dirs.state)
    os.chmod(dirs.state, 0o777)
    monkeypatch.setattr(os, "chmod", lambda *_: None)
    assert is_refused()
    assert os.listdir(dirs.state) == []
    assert find_finding(dirs, "directory") == (WRONG, f"the state directory {dirs.state} is writable by other users")


@posix
@root
@pytest.mark.parametrize("name", ["spool.db", "spool.db-wal"])
def test_a_file_of_another_user_in_the_directory_is_not_used(dirs: Home, run: Run, name: str) -> None:
    run("import os; from deepchecks_telemetry.spool import record; assert record('run-check'); os._exit(0)")
    os.chown(os.path.join(dirs.state, name), 65_534, 65_534)
    assert is_refused()
    assert find_finding(dirs, "spool")[0] == WRONG


@posix
def test_a_link_in_place_of_the_directory_is_refused(dirs: Home, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    os.makedirs(os.path.dirname(dirs.state))
    os.symlink(tmp_path / "elsewhere", dirs.state)
    assert is_refused()
    assert os.listdir(tmp_path / "elsewhere") == []
    assert find_finding(dirs, "directory") == (
        WRONG,
        f"the state directory {dirs.state} is a link or a file, not a directory",
    )


@posix
@pytest.mark.parametrize("name", ["spool.db", "spool.lock"])
def test_a_link_in_place_of_a_file_is_not_followed(dirs: Home, tmp_path: Path, name: str) -> None:
    os.makedirs(dirs.state, mode=0o700)
    (tmp_path / "target").write_text("somebody else's")
    os.symlink(tmp_path / "target", os.path.join(dirs.state, name))
    assert is_refused(10.0)
    assert (tmp_path / "target").read_text() == "somebody else's"
    assert WRONG in {found.level for found in examine(dirs)}


def test_a_spool_of_a_newer_incompatible_version_is_not_touched(dirs: Home, sql: Sql) -> None:
    assert record("run-check")
    sql(f"PRAGMA user_version = {2 * BREAKING}")
    close_our_own()
    assert is_refused()
    assert find_finding(dirs, "version")[0] == WRONG
    assert sql("SELECT count(*) FROM events") == [(1,)]


def test_a_spool_with_newer_additions_is_used(dirs: Home, sql: Sql) -> None:
    assert record("run-check")
    sql(f"PRAGMA user_version = {2 * BREAKING - 1}")
    sql("CREATE TABLE weather (day INTEGER)")
    close_our_own()
    assert record("run-check")
    assert read_accounts(dirs).recorded == 2


def test_without_a_usable_lock_nothing_is_created(dirs: Home) -> None:
    os.makedirs(dirs.lock, mode=0o700)  # a directory at the path of the lock file
    assert is_refused(10.0)
    assert os.listdir(dirs.state) == ["spool.lock"]
    assert find_finding(dirs, "lock")[0] == WRONG
