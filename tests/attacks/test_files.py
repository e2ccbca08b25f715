"""Links, hard links and FIFOs at each of our paths: no file outside our directories changes, and nothing blocks.

Links at spool.db, at spool.lock and at the directory itself are also in tests/spool/files/test_directory.py.
"""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from deepchecks_telemetry import cli
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.db.schema import MAX_SPOOL_BYTES
from deepchecks_telemetry.spool.doctor import examine
from deepchecks_telemetry.spool.errors import Unusable
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.recording import record as recording
from deepchecks_telemetry.spool.wipe import erase

pytestmark = [pytest.mark.skipif(os.name != "posix", reason="Windows has no such files"), pytest.mark.timeout(30)]

STATE = [
    *("spool.db", "spool.db-wal", "spool.db-shm", "spool.db-journal", "spool.lock", "upload.lock", "spool.db.new"),
    *("spool.db.new-journal", "spool.db.mended", "spool.db.damaged-1", "spool.db.damaged-1-wal", "spool.db.view.html"),
]
CONFIG = ["mode", "endpoint", "notice"]
KINDS = ["link", "fifo", "dangling link", "second name"]
HARM = {
    **{name: ["link"] for name in STATE},
    **{name: ["second name"] for name in ("spool.db", "spool.db-wal", "spool.db-shm")},
    **{name: ["fifo"] for name in ("spool.lock", "upload.lock")},
    "spool.db.damaged-1": ["link", "fifo"],
}
COMMANDS = ["status", "doctor", "inspect", "preview", "view --output -", "export out", "flush", "local", "enable"]


class World(NamedTuple):
    """Our directories, with a spool that has a batch and an event; and a directory with somebody else's files."""

    home: Home
    outside: Path

    def run(self, command: str) -> str:
        """Run a command and return its output; it succeeds or prints one line, and never a traceback."""
        done = CliRunner().invoke(cli.deepchecks, ["telemetry", *command.split()])
        assert done.exception is None or isinstance(done.exception, SystemExit), (command, done.exception)
        assert done.exit_code in (0, 1), (command, done.output)
        return done.output

    def read_outside(self) -> dict[str, tuple[int, bytes]]:
        """The permissions and bytes of somebody else's files."""
        return {path.name: (stat.S_IMODE(path.lstat().st_mode), path.read_bytes()) for path in self.outside.iterdir()}


def close_session() -> None:
    recording.close()


@pytest.fixture
def world(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outside").mkdir()
    made = World(find_home(), tmp_path / "outside")
    assert recording.record("run-check")
    made.run("preview")
    assert recording.record("run-suite")
    # In another process, because closing SQLite's files in this one would drop its locks.
    subprocess.run(["cp", made.home.spool, made.home.spool + "-wal", tmp_path], check=True)
    close_session()
    yield made
    close_session()


def fill_outside(world: World, name: str) -> Path:
    """Write a file outside that looks like ours, so that it is not refused for its bytes."""
    target, copies = world.outside / "target", world.outside.parent
    shutil.copy(copies / ("spool.db-wal" if name.endswith("-wal") else "spool.db"), target)
    shutil.copy(copies / "spool.db-wal", world.outside / "target-wal")  # whoever opens the target would apply it
    if name in CONFIG:
        target.write_text("on\n")
    target.chmod(0o640)
    return target


def plant(kind: str, path: Path, target: Path) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "second name":
        os.link(target, path)
    else:
        os.symlink(target if kind == "link" else target.with_name("missing"), path)


def use_everything(world: World) -> None:
    """Do everything that a user and a host can do."""
    recording.record("run-check")
    for command in COMMANDS:
        world.run(command)
    recording.record("run-check")
    world.run("disable")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Combine each path with the most harmful kind of file; with `--long` with every kind."""
    if "kind" in metafunc.fixturenames:
        kinds = KINDS if metafunc.config.getoption("--long", False) else []
        pairs = [(name, kind) for name in (*STATE, *CONFIG) for kind in (kinds or HARM.get(name, ["fifo"]))]
        names = [f"{kind} at {name}" for name, kind in pairs]
        metafunc.parametrize(("name", "kind"), pairs, ids=names)


def test_a_planted_file_is_not_written_through(world: World, name: str, kind: str) -> None:
    folder = world.home.config if name in CONFIG else world.home.state
    target = fill_outside(world, name)
    before = world.read_outside()
    plant(kind, Path(folder, name), target)
    begun = time.monotonic()
    use_everything(world)
    assert world.read_outside() == before
    assert time.monotonic() - begun < 20


def test_disable_removes_planted_files_and_not_their_targets(world: World) -> None:
    target = fill_outside(world, "spool.db")
    for name in STATE:
        plant("link", Path(world.home.state, name), target)
    planted = next(found for found in examine(world.home) if found.name == "unexpected files")
    assert (planted.level, [name for name in STATE if name not in planted.text]) == ("wrong", [])
    erase(world.home)
    assert target.exists()
    assert [path for path in Path(world.home.state).iterdir() if path.is_symlink()] == []
    choose(world.home, "on")
    assert recording.record("run-check")


@pytest.mark.parametrize("kind_", ["link", "fifo", "second name"])
def test_a_lock_file_that_is_not_plain_is_not_locked(world: World, kind_: str) -> None:
    plant(kind_, Path(world.home.lock), fill_outside(world, "spool.lock"))
    with pytest.raises(Unusable, match="a link or not a regular file"), hold(world.home.lock, 0):
        pass


@pytest.mark.parametrize("source", ["policy", "choice"])
def test_a_fifo_in_place_of_a_choice_is_off_without_waiting(world: World, source: str) -> None:
    path = Path(world.home.policy_mode if source == "policy" else world.home.mode)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    assert recording.record("run-check") is False
    assert "Telemetry is off: decided by" in world.run("status")


def test_a_choice_that_is_a_broken_link_is_off(world: World) -> None:
    plant("dangling link", Path(world.home.mode), world.outside / "target")
    assert recording.record("run-check") is False


def test_a_choice_behind_a_link_is_read(world: World) -> None:
    (world.outside / "mode").write_text("local\n")
    os.makedirs(world.home.config)
    os.symlink(world.outside / "mode", world.home.mode)
    assert "Telemetry is local: decided by your choice." in world.run("status")


def edit_exports(world: World, path: Path, part: Path, content: bytes) -> None:
    line = json.dumps([str(path), str(part), hashlib.sha256(content).hexdigest()])
    Path(world.home.state, "exports.jsonl").write_text(line + "\n")


def test_an_edited_list_of_exports_cannot_make_disable_delete_a_file(world: World) -> None:
    known, other = world.outside / "known", world.outside / "other"
    known.write_bytes(b"a file whose digest everybody knows\n")
    other.write_bytes(b"any file\n")
    edit_exports(world, known, other, known.read_bytes())
    before = world.read_outside()
    world.run("disable")
    assert world.read_outside() == before


def test_our_own_export_is_still_removed(world: World) -> None:
    world.run(f"export {world.outside / 'counts.jsonl'}")
    half = f"{world.outside / 'counts.jsonl'}.{'0' * 12}.part"
    Path(half).write_bytes(b"cut short")
    edit_exports(world, world.outside / "counts.jsonl", Path(half), (world.outside / "counts.jsonl").read_bytes())
    world.run("disable")
    assert world.read_outside() == {}


def test_a_file_that_is_too_large_to_be_a_spool_is_not_read(world: World) -> None:
    os.truncate(world.home.spool, MAX_SPOOL_BYTES + 1)
    assert recording.record("run-check")  # recorded into a new spool
    assert len(list(Path(world.home.state).glob("spool.db.damaged-*"))) >= 1


def test_with_a_umask_of_zero_our_files_are_still_private(tmp_path: Path) -> None:
    code = (
        "import os; os.umask(0)\n"
        "from deepchecks_telemetry.spool import record; assert record('run-check')\n"
        "from deepchecks_telemetry.cli import deepchecks\n"
        "for words in ('preview', 'enable --endpoint http://127.0.0.1:9', 'flush'):\n"
        "    try: deepchecks.main(['telemetry', *words.split()])\n"
        "    except SystemExit: pass\n"
        "assert record('run-check'); os._exit(0)"
    )
    root = tmp_path / "a" / "b"
    environ = os.environ | {"DEEPCHECKS_TELEMETRY_DIR": str(root)}
    subprocess.run([sys.executable, "-c", code], env=environ, check=True, timeout=60, capture_output=True)
    found = {path: stat.S_IMODE(path.lstat().st_mode) for path in (tmp_path / "a", *(tmp_path / "a").rglob("*"))}
    assert {path.name for path in found} >= {
        "spool.db",
        "spool.db-wal",
        "spool.lock",
        "upload.lock",
        "mode",
        "endpoint",
    }
    assert {mode for path, mode in found.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in found.items() if path.is_file()} == {0o600}
