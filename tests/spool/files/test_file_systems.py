"""A network file system is detected by its mount; on it the spool has no WAL, and each access takes the file lock."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.doctor import WARNING, examine
from deepchecks_telemetry.spool.errors import Unusable
from deepchecks_telemetry.spool.files import directory
from deepchecks_telemetry.spool.files.directory import LOCAL, check_state_dir, is_remote, read_mount
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.recording import writer
from deepchecks_telemetry.spool.stats import read_accounts

Run = Callable[..., str]
Sql = Callable[..., list[Any]]
mounts = pytest.mark.skipif(os.name == "nt", reason="Windows has no list of mounts, which this test replaces")
MOUNT = "36 35 98:0 / {point} rw,noatime - {kind} server:/export rw\n"


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A list of mounts with nfs at this test's directory, because a real one cannot be mounted here."""
    mounts = tmp_path / "mounts"
    mounts.write_text(
        MOUNT.format(point="/", kind="ext4") + MOUNT.format(point=os.path.realpath(tmp_path), kind="nfs4")
    )
    monkeypatch.setattr(directory, "MOUNTS", str(mounts))
    return str(mounts)


@mounts
def test_on_a_network_file_system_there_is_no_wal(
    dirs: Home, network: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_remote(dirs.state)
    monkeypatch.setattr(writer, "DEADLINE_S", 10.0)  # even on a busy machine
    assert all(record("run-check") for _ in range(5))
    assert sql("PRAGMA journal_mode") == [("delete",)]
    assert not os.path.exists(dirs.spool + "-wal")
    assert ("file system", WARNING) in {(finding.name, finding.level) for finding in examine(dirs)}
    assert read_accounts(dirs).recorded == 5


@mounts
def test_a_spool_that_was_moved_to_the_network_is_converted(
    dirs: Home, run: Run, request: pytest.FixtureRequest
) -> None:
    run("import os; from deepchecks_telemetry.spool import record; assert record('run-check'); os._exit(0)")
    assert os.path.getsize(dirs.spool + "-wal")
    request.getfixturevalue("network")
    assert record("run-check")
    assert not os.path.exists(dirs.spool + "-wal")
    assert read_accounts(dirs).recorded == 2


CROWD = """
import sys
from deepchecks_telemetry.spool.files import directory
from deepchecks_telemetry.spool import record
directory.MOUNTS = sys.argv[1]
sys.stdin.readline()
print(sum(record("run-check") for _ in range(150)))
"""


@mounts
def test_processes_on_a_network_file_system_lose_nothing(dirs: Home, network: str) -> None:
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", CROWD, network], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    acknowledged = 0
    for process in crowd:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in crowd:
        acknowledged += int(process.communicate(timeout=100)[0])
    stats = read_accounts(dirs)
    assert (stats.pending, stats.balance) == (acknowledged, 0)
    assert acknowledged > 30  # of 450; in such loops most records do not get the lock in time


@mounts
def test_on_a_network_file_system_each_write_holds_the_file_lock(dirs: Home, network: str) -> None:
    from deepchecks_telemetry.spool.files.lock import hold

    assert record("run-check")
    with hold(dirs.lock, 5.0):
        assert not record("run-check")
    assert record("run-check")
    stats = read_accounts(dirs)
    assert (stats.pending, stats.dropped, stats.balance) == (2, {"busy": 1}, 0)


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
    assert read_mount(path, [MOUNT.format(point=point, kind=kind) for point, kind in points])[0] == kind


def test_local_file_systems_are_not_remote() -> None:
    assert {"ext4", "xfs", "btrfs", "zfs", "apfs", "tmpfs", "overlay", "fuse.ntfs-3g"} <= LOCAL


@pytest.mark.skipif(sys.platform != "win32", reason="drives and shares exist only on Windows")
@pytest.mark.parametrize(
    ("path", "remote"),
    [
        (r"C:\Users\jane", False),
        (r"\\?\C:\Users", False),
        (r"\\server\share\home", True),
        (r"\\?\UNC\server\share", True),
    ],
)
def test_a_share_is_remote_and_a_drive_is_not(path: str, remote: bool) -> None:
    assert is_remote(path) is remote


REMOTE = (
    "9p acfs afs beegfs ceph cifs cvfs dvs ecryptfs fakeowner drvfs fuse.sshfs gpfs lustre nfs nfs4 panfs pvfs2 wekafs"
)


@mounts
@pytest.mark.parametrize("kind", [*REMOTE.split(), "a-file-system-of-tomorrow"])
def test_an_unknown_file_system_is_remote(
    dirs: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (tmp_path / "mounts").write_text(MOUNT.format(point="/", kind=kind))
    monkeypatch.setattr(directory, "MOUNTS", str(tmp_path / "mounts"))
    assert is_remote(dirs.state)


@pytest.mark.parametrize(
    ("upper", "kind"), [("/nfs/upper", "nfs4"), ("/disk/upper", "xfs"), ("/of/the/host", "overlay")]
)
def test_an_overlay_is_as_remote_as_its_upper_directory(upper: str, kind: str) -> None:
    overlay = f"1 2 0:1 / / rw - overlay overlay rw,lowerdir=/lower,upperdir={upper},workdir=/work\n"
    below = [MOUNT.format(point="/nfs", kind="nfs4"), MOUNT.format(point="/disk", kind="xfs")]
    assert read_mount("/home/jane", [overlay, *below])[0] == kind


def test_without_a_list_of_mounts_every_path_is_local(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "MOUNTS", "/no/such/file")
    assert not is_remote(dirs.state)


def test_a_missing_directory_is_not_remote(dirs: Home) -> None:
    with pytest.raises(FileNotFoundError):
        check_state_dir(dirs)
    Path(os.path.dirname(dirs.state)).mkdir()
    Path(dirs.state).write_text("")
    with pytest.raises(Unusable):
        check_state_dir(dirs)
