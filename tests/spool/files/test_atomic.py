"""A file is written completely or not at all, even if two processes with the same process id write it."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deepchecks_telemetry.spool.files.atomic import BY_UMASK, TEMPORARY, replace_file

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")

# Two containers that share a home directory; in each the process id is 1.
WRITE = """
import os, sys
os.getpid = lambda: 1
from deepchecks_telemetry.spool.choice import write_private
sys.stdin.readline()
for _ in range(200):
    write_private(sys.argv[1], sys.argv[2])
"""


def test_writers_with_the_same_process_id_use_different_temporary_files(tmp_path: Path) -> None:
    path = tmp_path / "config" / "mode"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE, str(path), word], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for word in ("on\n", "local\n", "off\n")
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    assert [writer.communicate(timeout=60)[1] for writer in writers] == [b"", b"", b""]
    assert path.read_text() in ("on\n", "local\n", "off\n")
    assert os.listdir(path.parent) == ["mode"]


def test_a_failed_write_leaves_only_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mode"
    path.write_text("on\n")

    def fail(source: str, target: str) -> None:
        assert TEMPORARY.search(source)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        replace_file(str(path), b"off\n")
    assert (path.read_text(), os.listdir(tmp_path)) == ("on\n", ["mode"])


@posix
@pytest.mark.parametrize(("umask", "private", "shared"), [(0o777, 0o600, 0), (0, 0o600, 0o666), (0o27, 0o600, 0o640)])
def test_a_private_file_is_readable_by_its_user_only_whatever_the_umask(
    tmp_path: Path, umask: int, private: int, shared: int
) -> None:
    before = os.umask(umask)
    try:
        replace_file(str(tmp_path / "private"), b"")
        replace_file(str(tmp_path / "shared"), b"", permissions=BY_UMASK)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("private", "shared")]
    assert modes == [private, shared]


@posix
def test_a_link_at_the_path_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    (tmp_path / "mode").symlink_to(tmp_path / "target")
    replace_file(str(tmp_path / "mode"), b"off\n")
    assert ((tmp_path / "target").read_text(), (tmp_path / "mode").is_symlink()) == ("mine", False)
