"""Bad ground: where no spool can or may stand nothing is made, nobody waits, and `examine` says why."""

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
from deepchecks_telemetry.spool.doctor import OK, WARNING, WRONG, examine
from deepchecks_telemetry.spool.errors import SpoolError, Unusable
from deepchecks_telemetry.spool.files import directory as ground_
from deepchecks_telemetry.spool.files.directory import LOCAL, check_state_dir, is_remote, read_mount
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.recording import record as recording
from deepchecks_telemetry.spool.recording import writer
from deepchecks_telemetry.spool.stats import read_accounts

Run = Callable[..., str]
Sql = Callable[..., list[Any]]
posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can do that")


def finding(ours: Home, name: str) -> tuple[str, str]:
    return next((found.level, found.text) for found in examine(ours) if found.name == name)


def refuses(seconds: float = 1.0) -> bool:
    """Whether records are refused, without waiting for anything."""
    begun = time.monotonic()
    told = [record("run-check") for _ in range(20)]
    assert time.monotonic() - begun < seconds
    return not any(told)


def test_a_missing_directory_is_created_for_this_user_alone(ours: Home) -> None:
    assert record("run-check")
    assert read_accounts(ours).recorded == 1


@posix
def test_a_directory_that_cannot_be_created_is_an_error(ours: Home) -> None:
    Path(os.path.dirname(ours.state)).write_text("a file stands where the folder should")
    assert refuses()
    assert Path(os.path.dirname(ours.state)).is_file()
    with pytest.raises(SpoolError):
        check_state_dir(ours)


@pytest.fixture
def read_only(ours: Home, tmp_path: Path) -> Iterator[Path]:
    """A file system that is mounted read-only, where the home should be."""
    home = Path(ours.state).parent
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(home)]
    if sys.platform != "linux" or os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a read-only file system here")
    yield home
    unmount(home)


def test_a_read_only_directory_is_refused_and_not_changed(ours: Home, read_only: Path) -> None:
    assert refuses()
    assert os.listdir(read_only) == []
    assert read_accounts(ours).recorded == 0


def test_a_spool_that_has_become_read_only_is_reported(ours: Home, tmp_path: Path) -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can remount a file system")
    home = Path(ours.state).parent
    home.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(home)], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        code = "from deepchecks_telemetry.spool import record; import os; assert record('run-check'); os._exit(0)"
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
        subprocess.run(["mount", "-o", "remount,ro", str(home)], check=True, timeout=30)
        assert refuses()
        assert WRONG in {found.level for found in examine(ours)}
        subprocess.run(["mount", "-o", "remount,rw", str(home)], check=True, timeout=30)
        assert read_accounts(ours).recorded == 1
    finally:
        close_our_own()
        subprocess.run(["umount", str(home)], check=True, timeout=30)


def unmount(folder: Path) -> None:
    """Refused, and the test with it, while any connection is still open there."""
    told = subprocess.run(["umount", str(folder)], capture_output=True, text=True, timeout=30)
    if told.returncode:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=30)
        pytest.fail(told.stderr)


def close_our_own() -> None:
    recording.close()


@posix
@root
def test_a_directory_of_another_user_is_refused(ours: Home) -> None:
    """What sudo leaves behind: root's folder in the user's home, or the other way round."""
    os.makedirs(ours.state, mode=0o700)
    os.chown(ours.state, 65_534, 65_534)
    assert refuses()
    assert os.listdir(ours.state) == []
    assert finding(ours, "directory") == (WRONG, f"the state directory {ours.state} belongs to another user")


@posix
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o2775, 0])
def test_a_directory_that_others_can_write_is_closed_to_them_and_used(ours: Home, mode: int) -> None:
    os.makedirs(ours.state)
    os.chmod(ours.state, mode)
    assert record("run-check")
    assert stat.S_IMODE(os.stat(ours.state).st_mode) & 0o777 == 0o700
    assert finding(ours, "directory") == (OK, "owned by you, and not writable by other users")


@posix
def test_a_directory_that_cannot_be_closed_to_others_is_refused(ours: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """On vfat, or a share whose permissions come with the mount."""
    os.makedirs(ours.state)
    os.chmod(ours.state, 0o777)
    monkeypatch.setattr(os, "chmod", lambda *_: None)
    assert refuses()
    assert os.listdir(ours.state) == []
    assert finding(ours, "directory") == (WRONG, f"the state directory {ours.state} is writable by other users")


@posix
@root
@pytest.mark.parametrize("name", ["spool.db", "spool.db-wal"])
def test_a_file_of_another_user_in_the_directory_is_not_used(ours: Home, run: Run, name: str) -> None:
    run("import os; from deepchecks_telemetry.spool import record; assert record('run-check'); os._exit(0)")
    os.chown(os.path.join(ours.state, name), 65_534, 65_534)
    assert refuses()
    assert finding(ours, "spool")[0] == WRONG


@posix
def test_a_link_in_place_of_the_directory_is_refused(ours: Home, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    os.makedirs(os.path.dirname(ours.state))
    os.symlink(tmp_path / "elsewhere", ours.state)
    assert refuses()
    assert os.listdir(tmp_path / "elsewhere") == []
    assert finding(ours, "directory") == (
        WRONG,
        f"the state directory {ours.state} is a link or a file, not a directory",
    )


@posix
@pytest.mark.parametrize("name", ["spool.db", "spool.lock"])
def test_a_link_in_place_of_a_file_is_not_followed(ours: Home, tmp_path: Path, name: str) -> None:
    os.makedirs(ours.state, mode=0o700)
    (tmp_path / "target").write_text("somebody else's")
    os.symlink(tmp_path / "target", os.path.join(ours.state, name))
    assert refuses(10.0)
    assert (tmp_path / "target").read_text() == "somebody else's"
    assert WRONG in {found.level for found in examine(ours)}


def test_a_spool_of_a_newer_incompatible_version_is_not_touched(ours: Home, sql: Sql) -> None:
    assert record("run-check")
    sql(f"PRAGMA user_version = {2 * BREAKING}")
    close_our_own()
    assert refuses()
    assert finding(ours, "version")[0] == WRONG
    assert sql("SELECT count(*) FROM events") == [(1,)]


def test_a_spool_with_newer_additions_is_used(ours: Home, sql: Sql) -> None:
    assert record("run-check")
    sql(f"PRAGMA user_version = {2 * BREAKING - 1}")
    sql("CREATE TABLE weather (day INTEGER)")
    close_our_own()
    assert record("run-check")
    assert read_accounts(ours).recorded == 2


def test_without_a_usable_lock_nothing_is_created(ours: Home) -> None:
    os.makedirs(ours.lock, mode=0o700)  # a folder stands where the lock file should
    assert refuses(10.0)
    assert os.listdir(ours.state) == ["spool.lock"]
    assert finding(ours, "lock")[0] == WRONG


MOUNT = "36 35 98:0 / {point} rw,noatime - {kind} server:/export rw\n"


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A list of mounts that says nfs of this test's folder: no real one can be mounted here."""
    mounts = tmp_path / "mounts"
    mounts.write_text(
        MOUNT.format(point="/", kind="ext4") + MOUNT.format(point=os.path.realpath(tmp_path), kind="nfs4")
    )
    monkeypatch.setattr(ground_, "MOUNTS", str(mounts))
    return str(mounts)


def test_on_a_network_file_system_there_is_no_wal(
    ours: Home, network: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_remote(ours.state)
    monkeypatch.setattr(writer, "DEADLINE_S", 10.0)  # however busy this machine is
    assert all(record("run-check") for _ in range(5))
    assert sql("PRAGMA journal_mode") == [("delete",)]
    assert not os.path.exists(ours.spool + "-wal")
    assert finding(ours, "file system")[0] == WARNING
    assert read_accounts(ours).recorded == 5


def test_a_spool_that_was_moved_to_the_network_is_converted(
    ours: Home, run: Run, request: pytest.FixtureRequest
) -> None:
    run("import os; from deepchecks_telemetry.spool import record; assert record('run-check'); os._exit(0)")
    assert os.path.getsize(ours.spool + "-wal")
    request.getfixturevalue("network")
    assert record("run-check")
    assert not os.path.exists(ours.spool + "-wal")
    assert read_accounts(ours).recorded == 2


CROWD = """
import sys
from deepchecks_telemetry.spool.files import directory as ground
from deepchecks_telemetry.spool import record
ground.MOUNTS = sys.argv[1]
sys.stdin.readline()
print(sum(record("run-check") for _ in range(150)))
"""


def test_processes_on_a_network_file_system_lose_nothing(ours: Home, network: str) -> None:
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", CROWD, network], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    told = 0
    for process in crowd:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in crowd:
        told += int(process.communicate(timeout=100)[0])
    books = read_accounts(ours)
    assert (books.pending, books.balance) == (told, 0)
    assert told > 30  # of 450; in such loops most do not get the lock in time


def test_on_a_network_file_system_each_write_holds_the_file_lock(ours: Home, network: str) -> None:
    from deepchecks_telemetry.spool.files.lock import hold

    assert record("run-check")
    with hold(ours.lock, 5.0):
        assert not record("run-check")
    assert record("run-check")
    books = read_accounts(ours)
    assert (books.pending, books.dropped, books.balance) == (2, {"busy": 1}, 0)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/home/jane", "nfs4"),
        ("/home/janet", "ext4"),
        ("/home/jane/local disk/x", "xfs"),
        ("/media/stick", "fuse.sshfs"),
        ("/media/windows", "fuse.ntfs-3g"),
        ("/twice", "tmpfs"),
    ],
)
def test_the_longest_and_last_mount_point_counts(path: str, kind: str) -> None:
    points = [
        ("/", "ext4"),
        ("/home/jane", "nfs4"),
        ("/home/jane/local\\040disk", "xfs"),
        ("/media/stick", "fuse.sshfs"),
        ("/media/windows", "fuse.ntfs-3g"),
        ("/twice", "nfs"),
        ("/twice", "tmpfs"),
    ]
    assert read_mount(path, [MOUNT.format(point=point, kind=kind) for point, kind in points]).kind == kind


def test_local_file_systems_are_not_remote(ours: Home) -> None:
    assert {"ext4", "xfs", "btrfs", "zfs", "apfs", "tmpfs", "overlay", "fuse.ntfs-3g"} <= LOCAL
    assert is_remote("\\\\server\\share\\home")


REMOTE = (
    "9p acfs afs beegfs ceph cifs cvfs dvs ecryptfs fakeowner drvfs fuse.sshfs gpfs lustre nfs nfs4 panfs pvfs2 wekafs"
)


@pytest.mark.parametrize("kind", [*REMOTE.split(), "a-file-system-of-tomorrow"])
def test_an_unknown_file_system_is_remote(
    ours: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (tmp_path / "mounts").write_text(MOUNT.format(point="/", kind=kind))
    monkeypatch.setattr(ground_, "MOUNTS", str(tmp_path / "mounts"))
    assert is_remote(ours.state)


@pytest.mark.parametrize(
    ("upper", "kind"), [("/nfs/upper", "nfs4"), ("/disk/upper", "xfs"), ("/of/the/host", "overlay")]
)
def test_an_overlay_is_as_remote_as_its_upper_directory(upper: str, kind: str) -> None:
    overlay = f"1 2 0:1 / / rw - overlay overlay rw,lowerdir=/lower,upperdir={upper},workdir=/work\n"
    below = [MOUNT.format(point="/nfs", kind="nfs4"), MOUNT.format(point="/disk", kind="xfs")]
    assert read_mount("/home/jane", [overlay, *below]).kind == kind


def test_without_a_list_of_mounts_every_path_is_local(ours: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground_, "MOUNTS", "/no/such/file")
    assert not is_remote(ours.state)


def test_a_missing_directory_is_not_remote(ours: Home) -> None:
    with pytest.raises(FileNotFoundError):
        check_state_dir(ours)
    Path(os.path.dirname(ours.state)).mkdir()
    Path(ours.state).write_text("")
    with pytest.raises(Unusable):
        check_state_dir(ours)
