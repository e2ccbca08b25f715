"""What the spool stands on: a folder that is this user's alone, and a file system that may not be fit for a WAL."""

import os
import stat
import sys
from collections.abc import Iterable, Sequence

from deepchecks_telemetry.spool.errors import Unusable, raise_if_hosts
from deepchecks_telemetry.spool.files.paths import Home

MOUNTS = "/proc/self/mountinfo"
# A WAL needs memory that all processes share; on a network file system they may be on different machines
# (sqlite.org/wal.html). Only these are known to be local; every other file system is treated as a network's.
LOCAL = frozenset(
    "apfs bcachefs btrfs exfat ext2 ext3 ext4 f2fs fuse.exfat fuse.lxcfs fuse.ntfs-3g fuseblk hfs hfsplus jfs msdos "
    "nilfs2 ntfs ntfs3 overlay ramfs reiserfs rootfs squashfs tmpfs udf ufs vfat xfs zfs".split()
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
    """Whether `path` may be on a file system that other machines write too; where no mounts are listed, it is not."""
    if path.startswith("\\\\"):
        return True  # a share's name on Windows
    try:
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            mounts = file.readlines()
    except OSError as error:
        raise_if_hosts(error)
        return False  # not Linux
    return type_of_mount(os.path.realpath(path), mounts) not in LOCAL


def type_of_mount(path: str, mounts: Sequence[str]) -> str:
    """The file system type at `path` by the lines of mountinfo(5); of an overlay, that of its upper directory."""
    line = _line_of(path, mounts)
    kind, _, options = line.partition(" - ")[2].partition(" ")
    upper = options.partition("upperdir=")[2].partition(",")[0] if kind == "overlay" else ""
    below = _line_of(upper, mounts) if upper.startswith("/") else line
    # In a container the upper directory's path is the host's: what is mounted there cannot be seen.
    return kind if below == line or kind != "overlay" else type_of_mount(upper, [below])


def _line_of(path: str, mounts: Iterable[str]) -> str:
    """The line of the longest mount point above `path`, of two at the same place the last."""
    above = {_escape(path): len(path)}
    while path != os.path.dirname(path):
        path = os.path.dirname(path)
        above[_escape(path)] = len(path)
    best, found = -1, ""
    for line in mounts:  # there may be thousands: a look-up costs less than comparing prefixes
        length = above.get(line.split(" ", 5)[4], -1)
        if length >= best and length >= 0:
            best, found = length, line
    return found


def _escape(point: str) -> str:
    for letter, code in (("\\", "\\134"), (" ", "\\040"), ("\t", "\\011"), ("\n", "\\012")):
        point = point.replace(letter, code)
    return point
