"""Checks that a directory belongs to this user alone, and whether its file system is local, as a WAL needs."""

import os
import stat
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache

from deepchecks_telemetry.spool.errors import Unusable, raise_if_hosts
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.regular import exists, file_id

MOUNTS = "/proc/self/mountinfo"
# A WAL needs memory that all processes share; on a network file system they may be on different machines
# (sqlite.org/wal.html). Only these are known to be local; every other file system is treated as a network file system.
LOCAL = frozenset(
    "apfs bcachefs btrfs exfat ext2 ext3 ext4 f2fs fuse.exfat fuse.lxcfs fuse.ntfs-3g fuseblk hfs hfsplus jfs msdos "
    "nilfs2 ntfs ntfs3 overlay ramfs reiserfs rootfs squashfs tmpfs udf ufs vfat xfs zfs".split()
)
ROOT = 0  # a trusted user id, because root can do everything anyway


def check_state_dir(home: Home, *, writable: bool = False) -> None:
    """Refuse a state directory that is a link, has another owner (sudo), or cannot be closed to other users.

    With `writable`, only the first two: files may be removed from this user's own directory even if others can write
    to it. A missing directory raises `FileNotFoundError`.
    """
    try:
        status = os.lstat(home.state)
    except FileNotFoundError:
        _refuse_file_above(home.state)
        raise
    except OSError as error:
        raise_if_hosts(error)
        raise Unusable(f"the state directory {home.state} cannot be used ({error.strerror})") from error
    if not stat.S_ISDIR(status.st_mode):
        raise Unusable(f"the state directory {home.state} is a link or a file, not a directory")
    reason = untrusted_reason(tighten(home.state, status, even_if_public=True), writable=writable)
    if reason:
        raise Unusable(f"the state directory {home.state} {reason}")


def _refuse_file_above(path: str) -> None:
    """Refuse a directory below a file, for which Windows raises `FileNotFoundError` and POSIX `NotADirectoryError`."""
    above = os.path.dirname(path)
    while not exists(above) and above != os.path.dirname(above):
        above = os.path.dirname(above)
    if exists(above) and not os.path.isdir(above):
        raise Unusable(f"the state directory {path} cannot be used ({above} is not a directory)")


def tighten(path: str, status: os.stat_result, *, even_if_public: bool = False) -> os.stat_result:
    """Close a directory of this user's to other users; takes its status before and returns its status after.

    Kubernetes gives the group of a volume `rwx` on all that is in it each time a container starts (fsGroup). If
    everybody can write to the directory, somebody may have written the choice in it, so it is not trusted: such a
    directory is only closed with `even_if_public`.
    """
    if not _is_mine(status) or not _is_loose(status) or (status.st_mode & 0o002 and not even_if_public):
        return status
    try:
        if not os.path.islink(path):  # the target of a link may be shared on purpose
            os.chmod(path, stat.S_IMODE(status.st_mode) & ~0o077 | 0o700)
            _tighten_files(path)
        return os.stat(path)
    except OSError as error:  # a read-only file system
        raise_if_hosts(error)
        return status


def _is_mine(status: os.stat_result) -> bool:
    return sys.platform != "win32" and status.st_uid == os.geteuid()


def _is_loose(status: os.stat_result) -> bool:
    """Whether other users can write, or a umask of 0777 has locked out the owner."""
    return bool(status.st_mode & 0o022) or status.st_mode & 0o700 != 0o700


def _tighten_files(directory: str) -> None:
    for entry in os.scandir(directory):
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(status.st_mode) and _is_mine(status) and status.st_nlink == 1 and not status.st_mode & 0o002:
            os.chmod(entry.path, 0o600)


def untrusted_reason(status: os.stat_result, *trusted: int, writable: bool = False) -> str | None:
    """Why a user other than this one and the `trusted` could have written it, or None; `writable` ignores mode bits."""
    if sys.platform != "win32" and status.st_uid not in (*trusted, os.geteuid()):
        return "belongs to another user"
    if sys.platform != "win32" and status.st_mode & 0o022 and not writable:
        return "is writable by other users"
    return None


def make_directory(path: str) -> None:
    """Create the directory and its missing parents for this user alone.

    Nothing is created in another user's directory: with `sudo` and that user's HOME it would belong to root and lock
    the user out; and the owner of the parent can replace the directory by another one.
    """
    try:
        check_above(os.path.dirname(path))
        os.mkdir(path, 0o700)
        os.chmod(path, 0o700)  # with a umask of 0777 the owner could not enter the directory
    except FileNotFoundError as error:
        # In /proc, and on a missing drive, whose parent is itself, mkdir always raises this error.
        if exists(os.path.dirname(path)) or os.path.dirname(path) == path:
            raise Unusable(f"the directory {path} cannot be created ({error.strerror})") from error
        make_directory(os.path.dirname(path))
        make_directory(path)
    except FileExistsError:
        pass


def check_above(directory: str) -> None:
    """Refuse to create anything in a directory that belongs to neither this user nor root."""
    if sys.platform != "win32" and os.stat(directory).st_uid not in (ROOT, os.geteuid()):
        raise Unusable(f"the directory {directory} belongs to another user, so nothing is created in it")


if sys.platform == "win32":

    def is_remote(path: str) -> bool:
        """Whether the file system of `path` is a share; `realpath` also finds the share of a mapped drive."""
        drive = os.path.splitdrive(os.path.realpath(path))[0].removeprefix("\\\\?\\")
        return len(drive) != len("C:")

    def find_mount(path: str) -> tuple[str, str]:
        """Windows does not list its mounts; not even tried, because there anybody may create a directory `/proc`."""
        raise FileNotFoundError(path)

else:

    def is_remote(path: str) -> bool:
        """Whether other machines may write to the file system of `path`; False without a list of mounts."""
        try:
            kind, _ = find_mount(path)
        except OSError as error:
            raise_if_hosts(error)
            return False  # not Linux
        return kind not in LOCAL

    def find_mount(path: str) -> tuple[str, str]:
        """`read_mount` of `path` with the system's mounts; raises `OSError` if the system does not list them."""
        identity = file_id(path)
        return _find_mount(os.path.realpath(path), identity[0] if identity else 0, MOUNTS)


@lru_cache(maxsize=8)
def _find_mount(path: str, device: int, mounts: str) -> tuple[str, str]:  # noqa: ARG001 - another device is another mount
    with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
        return read_mount(path, file.readlines())


def read_mount(path: str, mounts: Sequence[str]) -> tuple[str, str]:
    """The type of the file system that `path` is on, and the upper directory of an overlay (the writable layer), or "".

    `mounts` are the lines of mountinfo(5). An overlay has the type of its upper directory.
    """
    line = _line_of(path, mounts)
    kind, _, options = line.partition(" - ")[2].partition(" ")
    upper = options.partition("upperdir=")[2].partition(",")[0] if kind == "overlay" else ""
    below = _line_of(upper, mounts) if upper.startswith("/") else line
    # In a container the path of the upper directory is the host's, and the host's mounts are not listed.
    return kind if below == line else read_mount(upper, [below])[0], upper


def _line_of(path: str, mounts: Iterable[str]) -> str:
    """The line of the longest mount point that contains `path`, the last of several with the same mount point."""
    above = {_escape(path): len(path)}
    while path != os.path.dirname(path):
        path = os.path.dirname(path)
        above[_escape(path)] = len(path)
    best, best_line = -1, ""
    for line in mounts:  # there may be thousands, and a look-up costs less than comparing prefixes
        length = above.get(line.split(" ", 5)[4], -1)
        if length >= best and length >= 0:
            best, best_line = length, line
    return best_line


def _escape(point: str) -> str:
    for letter, code in (("\\", "\\134"), (" ", "\\040"), ("\t", "\\011"), ("\n", "\\012")):
        point = point.replace(letter, code)
    return point
