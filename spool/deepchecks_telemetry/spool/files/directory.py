"""What the spool stands on: a folder that is this user's alone, and a file system that may not be fit for a WAL."""

import os
import stat
import sys
from collections.abc import Iterable

from deepchecks_telemetry.spool.errors import Unusable
from deepchecks_telemetry.spool.files.paths import Home

MOUNTS = "/proc/self/mountinfo"
# A WAL needs memory that all processes share, and here they may be on different machines (sqlite.org/wal.html); fuse
# stands for sshfs and its many kin. overlay and tmpfs are local.
REMOTE = frozenset(
    "9p afs beegfs ceph cephfs cifs coda davfs fuse fuse.sshfs fuse.s3fs gcsfuse gfs2 glusterfs lustre ncpfs nfs nfs4 "
    "ocfs2 orangefs prl_fs smb3 smbfs vboxsf virtiofs vmhgfs".split()
)


ROOT = 0  # who can do everything anyway


def check_ground(home: Home) -> None:
    """Refuse a state folder that is not this user's alone: a link, another owner (sudo), writable by others."""
    check_folder(home.state, "the state folder")


def check_folder(path: str, name: str) -> None:
    """Refuse a folder that is not this user's alone; a missing one raises `FileNotFoundError`."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unusable(f"{name} cannot be used ({type(error).__name__})") from error
    if not stat.S_ISDIR(found.st_mode):
        raise Unusable(f"{name} is a link or a file")
    told = stranger(found)
    if told:
        raise Unusable(f"{name} {told}")


def stranger(found: os.stat_result, *trusted: int) -> str | None:
    """Who else could have put a file of ours into this folder, beside the `trusted`; None where nobody could."""
    if sys.platform != "win32" and found.st_uid not in (*trusted, os.geteuid()):
        return "belongs to another user"
    if sys.platform != "win32" and found.st_mode & 0o022:
        return "can be written by other users"
    return None


def make_folder(path: str) -> bool:
    """Make the folder, and what is missing above it, for this user alone; True when this call made it.

    Beneath another user's folder nothing is made: with `sudo` and that user's HOME it would be root's, and lock its
    owner out; and whoever owns the folder above can put another one in our place.
    """
    try:
        _check_above(os.path.dirname(path))
        os.mkdir(path, 0o700)
    except FileNotFoundError:
        make_folder(os.path.dirname(path))
        return make_folder(path)
    except FileExistsError:
        return False
    return True


def _check_above(folder: str) -> None:
    if sys.platform != "win32" and os.stat(folder).st_uid not in (ROOT, os.geteuid()):
        raise Unusable("the folder above it belongs to another user")


def is_remote(path: str) -> bool:
    """Whether `path` lies on a file system that other machines may write too; unknown systems count as local."""
    if path.startswith("\\\\"):
        return True  # a share's name on Windows
    try:
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            return type_of_mount(os.path.realpath(path), file) in REMOTE
    except OSError:
        return False  # not Linux


def type_of_mount(path: str, mounts: Iterable[str]) -> str:
    """The file system type at `path` by the lines of mountinfo(5); the last of the longest mount points holds."""
    best, kind = "", ""
    for line in mounts:
        point = _unescape(line.split(" ", 5)[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, line.partition(" - ")[2].split()[0]
    return kind if not kind.startswith("fuse.") else _fuse(kind)


def _fuse(kind: str) -> str:
    """Every FUSE file system may be remote; the few that are a local disk's driver are not."""
    return kind if kind in {"fuse.ntfs-3g", "fuse.exfat", "fuse.lxcfs"} else "fuse"


def _unescape(point: str) -> str:
    for code, letter in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(code, letter)
    return point
