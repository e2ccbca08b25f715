"""A file is complete and on disk before anything is done because of it."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.choice import choose, write_private
from deepchecks_telemetry.spool.errors import Unusable
from deepchecks_telemetry.spool.files.atomic import sync_directory
from deepchecks_telemetry.spool.files.paths import Home

Run = Callable[..., str]
posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such calls")


@posix
def test_a_choice_is_synced_before_and_its_directory_after_the_rename(
    dirs: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[object] = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        done.append("the folder" if stat.S_ISDIR(found.st_mode) else found.st_size)
        fsync(descriptor)

    def note_replace(source: str, target: str) -> None:
        done.append("its name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    choose(dirs, "local")
    assert done == [len("local\n"), "its name", "the folder"]


def test_a_temporary_file_of_a_killed_process_is_not_part_of_the_choice(dirs: Home) -> None:
    os.makedirs(dirs.config, mode=0o700)
    Path(f"{dirs.mode}.{os.getpid()}.new").write_text("off, and more of it than we write")
    choose(dirs, "on")
    assert Path(dirs.mode).read_text() == "on\n"


def test_an_error_without_a_text_is_reported_by_its_class(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Unusable, match=r"\(PermissionError\)$"):
        choose(dirs, "on")


@pytest.mark.skipif(os.name == "nt", reason="Windows does not list open files")
def test_no_file_stays_open_after_a_choice(dirs: Home) -> None:
    choose(dirs, "on")
    before = os.listdir("/dev/fd")
    for _ in range(3):
        choose(dirs, "local")
    assert len(os.listdir("/dev/fd")) == len(before)


@posix
def test_no_choice_is_written_to_a_directory_that_others_can_write(dirs: Home) -> None:
    os.makedirs(dirs.config)
    os.chmod(dirs.config, 0o777)
    with pytest.raises(Unusable, match="your choice cannot be written: the directory"):
        choose(dirs, "on")
    assert os.listdir(dirs.config) == []


def test_a_directory_that_cannot_be_synced_is_not_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as windows:
        windows.setattr(os, "name", "nt")
        sync_directory(str(tmp_path / "missing"))


def test_choosing_off_alone_does_not_close_the_fence(dirs: Home, sql: Callable[..., list[object]]) -> None:
    assert record("run-check")
    for epoch in (0, 1):
        sql("UPDATE spool SET epoch = ?", epoch)
        choose(dirs, "off")
        assert sql("SELECT epoch FROM spool") == [(epoch,)]


def test_files_are_not_read_or_written_in_the_locales_encoding(run: Run, dirs: Home) -> None:
    """Two programs of one user can run in different locales, and they share these files."""
    code = """
import os, subprocess, sys
act = '''
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import decide
from deepchecks_telemetry.spool.wipe import erase
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.seal import seal
home = find_home()
choose(home, "on")
assert record("run-check")
assert seal(home, lambda *_: b"body")
assert decide(home).mode == "on"
erase(home)
'''
strict = ["-X", "warn_default_encoding", "-W", "error::EncodingWarning"]
subprocess.run([sys.executable, *strict, "-c", act], check=True)
"""
    assert run(code) == ""


@posix
def test_files_are_text_in_utf_8(tmp_path: Path) -> None:
    write_private(str(tmp_path / "file"), "Grüße\n")
    assert (tmp_path / "file").read_bytes() == "Grüße\n".encode()
