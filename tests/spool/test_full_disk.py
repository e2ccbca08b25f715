"""On a full disk `disable` still turns off and wipes, because truncating and removing files needs no space."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from deepchecks_telemetry.spool import wipe
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import read_source
from deepchecks_telemetry.spool.errors import Unusable
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.files.residue import find_residue
from deepchecks_telemetry.spool.wipe import erase

Run = Callable[..., str]
Mount = Callable[[str], None]
Start = Callable[[], "subprocess.Popen[str]"]

# Has the spool open, with a batch and its export, then events in a WAL; continues recording on request.
HOST = """
import os, sys
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.ledger import batches
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.uploader.flush import seal_next
from deepchecks_telemetry.uploader.offline.export import export
assert all(record("run-check") for _ in range(50))
(written,) = export(find_home(), os.environ["CARRIED"])
assert all(record("run-suite") for _ in range(50))
print(written.path, flush=True)
for line in sys.stdin:
    print(record("suite-to-html"), flush=True)
os._exit(0)
"""


@pytest.fixture
def mount(home: Path) -> Iterator[Mount]:
    """Mount a small file system at the home."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    home.mkdir()
    mounted = []

    def make(options: str) -> None:
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(home)], capture_output=True).returncode:
            pytest.skip("no file system can be mounted here")
        mounted.append(home)

    yield make
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=30)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start a program that has recorded and exported, and keeps the spool open."""
    monkeypatch.setenv("CARRIED", str(tmp_path / "carried.jsonl"))
    monkeypatch.delenv("DEEPCHECKS_TELEMETRY")
    started: list[subprocess.Popen[str]] = []

    def start() -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", HOST]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout is not None
        assert started[-1].stdout.readline() == f"{tmp_path / 'carried.jsonl'}\n"
        return started[-1]

    yield start
    for process in started:
        process.communicate()


def fill(folder: Path) -> None:
    """Use up all free space."""
    with (folder / "filler").open("wb", buffering=0) as file:
        for size in (65536, 1):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError:
                pass


def record_once(process: "subprocess.Popen[str]") -> bool:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline() == "True\n"


@pytest.mark.parametrize("chosen", ["on", "local", None])
def test_disable_works_on_a_full_disk_and_stops_running_programs(
    dirs: Home,
    home: Path,
    tmp_path: Path,
    mount: Mount,
    host: Start,
    chosen: str | None,
) -> None:
    mount("size=512k")
    if chosen:
        choose(dirs, chosen)
    process = host()
    assert record_once(process)
    fill(home)
    erased = erase(find_home())
    assert not record_once(process)
    assert read_source("", dirs.mode).mode == "off"
    assert find_residue(dirs, erased.markers)[1] == []
    assert not (tmp_path / "carried.jsonl").exists()
    assert str(tmp_path / "carried.jsonl") in erased.removed
    assert not (home / "state" / "spool.db-wal").exists() or (home / "state" / "spool.db-wal").stat().st_size == 0


def test_on_a_full_disk_the_choice_is_off_before_files_are_removed(
    dirs: Home, home: Path, mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a `disable` that is killed then is still effective."""

    def raise_interrupt(_: object) -> bool:
        raise KeyboardInterrupt

    mount("size=512k")
    choose(dirs, "on")
    Path(dirs.state).mkdir(mode=0o700)
    fill(home)
    monkeypatch.setattr(wipe, "is_hard_linked_database", raise_interrupt)
    with pytest.raises(KeyboardInterrupt):
        erase(dirs)
    assert read_source("", dirs.mode).mode == "off"


def test_without_a_free_inode_the_error_says_what_still_holds(
    dirs: Home, home: Path, mount: Mount, host: Start
) -> None:
    """There is no mode file that could be truncated, and none can be created."""
    mount("size=512k,nr_inodes=64")
    process = host()
    fill(home)
    folders = [home / str(number) for number in range(64)]
    with suppress(OSError):
        for folder in folders:
            folder.mkdir()
    with pytest.raises(
        Unusable, match=r"recorded data was wiped, but .*No space left on device.*: telemetry can record again"
    ):
        erase(find_home())
    assert find_residue(dirs)[1] == []
    for folder in folders[:2]:
        folder.rmdir()
    erase(find_home())
    assert read_source("", dirs.mode).mode == "off"
    assert not record_once(process)


def test_disable_on_a_read_only_disk_is_an_error(dirs: Home, home: Path, mount: Mount, run: Run) -> None:
    mount("size=512k")
    run("import os; from deepchecks_telemetry.spool import record; assert record('run-check'); os._exit(0)")
    subprocess.run(["mount", "-o", "remount,ro", str(home)], check=True, timeout=30)
    with pytest.raises(Unusable, match=r"your choice cannot be written to .*Read-only file system"):
        erase(dirs)
