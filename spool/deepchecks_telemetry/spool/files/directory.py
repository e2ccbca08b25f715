"""What the spool stands on: a directory that is this user's alone, and a file system that may not be fit for a WAL."""

import os
import stat
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from deepchecks_telemetry.spool.errors import Unusable, raise_if_hosts
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.regular import exists, file_id

MOUNTS = "/proc/self/mountinfo"
# A WAL needs memory that all processes share; on a network file system they may be on different machines
# (sqlite.org/wal.html). Only these are known to be local; every other file system is treated as a network's.
LOCAL = frozenset(
    "apfs bcachefs btrfs exfat ext2 ext3 ext4 f2fs fuse.exfat fuse.lxcfs fuse.ntfs-3g fuseblk hfs hfsplus jfs msdos "
    "nilfs2 ntfs ntfs3 overlay ramfs reiserfs rootfs squashfs tmpfs udf ufs vfat xfs zfs".split()
)


ROOT = 0  # who can do everything anyway


def check_state_dir(home: Home) -> None:
    """Refuse a state directory that is not this user's alone: a link, another owner (sudo), writable by others."""
    check_directory(home.state, "the state directory")


def check_directory(path: str, name: str) -> None:
    """Refuse a directory that cannot be made this user's alone; a missing one raises `FileNotFoundError`."""
    reason = untrusted_reason(tighten(path, _look_at(path, name), anybody=True))
    if reason:
        raise Unusable(f"{name} {path} {reason}")


def check_owner(path: str, name: str) -> None:
    """Refuse a directory of another user; from one of this user's own, whoever can write it, files may be removed."""
    reason = untrusted_reason(tighten(path, _look_at(path, name), anybody=True), writable=True)
    if reason:
        raise Unusable(f"{name} {path} {reason}")


def _look_at(path: str, name: str) -> os.stat_result:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise_if_hosts(error)
        raise Unusable(f"{name} {path} cannot be used ({error.strerror})") from error
    if not stat.S_ISDIR(found.st_mode):
        raise Unusable(f"{name} {path} is a link or a file, not a directory")
    return found


def tighten(path: str, found: os.stat_result, *, anybody: bool = False) -> os.stat_result:
    """Take from other users what they may do in a directory of this user's; `found` is what it was, the answer what it is.

    Kubernetes gives the group of a volume `rwx` on all that is in it each time a container starts (fsGroup). Where
    everybody may write, somebody may have, so a choice is not believed: only with `anybody` that is taken away too.
    """
    if not _is_mine(found) or not _is_loose(found) or (found.st_mode & 0o002 and not anybody):
        return found
    try:
        if not os.path.islink(path):  # what a link leads to may be shared on purpose
            os.chmod(path, stat.S_IMODE(found.st_mode) & ~0o077 | 0o700)
            _tighten_files(path)
        return os.stat(path)
    except OSError as error:  # a read-only file system
        raise_if_hosts(error)
        return found


def _is_mine(found: os.stat_result) -> bool:
    return sys.platform != "win32" and found.st_uid == os.geteuid()


def _is_loose(found: os.stat_result) -> bool:
    """Whether others can write, or a umask of 0777 has locked out its owner."""
    return bool(found.st_mode & 0o022) or found.st_mode & 0o700 != 0o700


def _tighten_files(directory: str) -> None:
    for entry in os.scandir(directory):
        found = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(found.st_mode) and _is_mine(found) and found.st_nlink == 1 and not found.st_mode & 0o002:
            os.chmod(entry.path, 0o600)


def untrusted_reason(found: os.stat_result, *trusted: int, writable: bool = False) -> str | None:
    """Why another user than the `trusted` could have written this; None where nobody could, `writable` bits apart."""
    if sys.platform != "win32" and found.st_uid not in (*trusted, os.geteuid()):
        return "belongs to another user"
    if sys.platform != "win32" and found.st_mode & 0o022 and not writable:
        return "is writable by other users"
    return None


def make_directory(path: str) -> bool:
    """Make the directory, and what is missing above it, for this user alone; True when this call made it.

    Beneath another user's directory nothing is made: with `sudo` and that user's HOME it would be root's, and lock its
    owner out; and whoever owns the directory above can put another one in our place.
    """
    try:
        check_above(os.path.dirname(path))
        os.mkdir(path, 0o700)
        os.chmod(path, 0o700)  # a umask of 0777 leaves a directory that its owner cannot enter
    except FileNotFoundError as error:
        if exists(os.path.dirname(path)):  # /proc, or a drive that is not there: it says so of anything
            raise Unusable(f"the directory {path} cannot be created ({error.strerror})") from error
        make_directory(os.path.dirname(path))
        return make_directory(path)
    except FileExistsError:
        return False
    return True


def check_above(directory: str) -> None:
    """Refuse to make anything in a directory of another user, root excepted."""
    if sys.platform != "win32" and os.stat(directory).st_uid not in (ROOT, os.geteuid()):
        raise Unusable(f"the directory {directory} belongs to another user, so nothing is created in it")


def is_remote(path: str) -> bool:
    """Whether `path` may be on a file system that other machines write too; where no mounts are listed, it is not."""
    if path.startswith("\\\\"):
        return True  # a share's name on Windows
    try:
        mount = find_mount(path)
    except OSError as error:
        raise_if_hosts(error)
        return False  # not Linux
    return mount.kind not in LOCAL


class Mount(NamedTuple):
    """The type of a file system, and an overlay's upper directory (a container's own writable layer), else ""."""

    kind: str
    upper: str


def find_mount(path: str) -> Mount:
    """What is mounted at `path`; raises `OSError` where no mounts are listed."""
    found = file_id(path)
    return _find_mount(os.path.realpath(path), found[0] if found else 0, MOUNTS)


@lru_cache(maxsize=8)
def _find_mount(path: str, device: int, mounts: str) -> Mount:  # noqa: ARG001 - another device is another mount
    with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
        return read_mount(path, file.readlines())


def read_mount(path: str, mounts: Sequence[str]) -> Mount:
    """What is mounted at `path` by the lines of mountinfo(5); the type of an overlay is its upper directory's."""
    line = _line_of(path, mounts)
    kind, _, options = line.partition(" - ")[2].partition(" ")
    upper = options.partition("upperdir=")[2].partition(",")[0] if kind == "overlay" else ""
    below = _line_of(upper, mounts) if upper.startswith("/") else line
    # In a container the upper directory's path is the host's: what is mounted there cannot be seen.
    return Mount(kind if below == line else read_mount(upper, [below]).kind, upper)


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
