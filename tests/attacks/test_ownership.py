"""Ownership: root in another user's home, and directories that another user created, owns, or can write to.

A state directory of another user, or writable by others, is in tests/spool/files/test_directory.py.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import decide
from deepchecks_telemetry.spool.doctor import examine
from deepchecks_telemetry.spool.errors import Unusable
from deepchecks_telemetry.spool.files.directory import make_directory
from deepchecks_telemetry.spool.files.lock import hold, hold_in_host
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.stats import read_accounts

JANE = 65_534
pytestmark = [
    pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be two users"),
    pytest.mark.timeout(60),
]
# Everything that a host and a user do, as the current user; each command succeeds or prints one line.
LIVE = """
import os, pkgutil, sys
from importlib import import_module
user = int(sys.argv[1])
from click.testing import CliRunner
from deepchecks_telemetry import cli
from deepchecks_telemetry.spool import record
import deepchecks_telemetry, filelock, requests, sqlite_utils, tabulate
# All of it while it can be read: the other user may not be able to enter the checkout.
for package in ("spool", "uploader", "hooks", "cli"):
    path = import_module(f"deepchecks_telemetry.{package}").__path__
    for module in pkgutil.walk_packages(path, f"deepchecks_telemetry.{package}."):
        if not module.name.endswith(("__main__", ".startup")):  # these act when they are imported
            import_module(module.name)
os.setegid(user)
os.seteuid(user)
results = [record("run-check")]
for words in sys.argv[2:]:
    done = CliRunner().invoke(cli.deepchecks, ["telemetry", *words.split()])
    assert done.exception is None or isinstance(done.exception, SystemExit), (words, done.exception)
    results.append(done.exit_code)
print(*results)
os._exit(0)
"""
COMMANDS = ["status", "enable", "preview", "flush --now", "export out", "view --output -", "disable"]


@pytest.fixture
def jane(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home of another user, outside pytest's own directories, which are closed to them."""
    if not all(folder.stat().st_mode & 0o001 for folder in Path(__file__).resolve().parents):
        pytest.skip("another user cannot enter the folder of this checkout, where the package and its environment are")
    folder = Path(tempfile.mkdtemp(prefix="jane-"))
    folder.chmod(0o755)
    home = folder / "jane"
    home.mkdir(mode=0o755)
    os.chown(home, JANE, JANE)
    for name in ("DEEPCHECKS_TELEMETRY_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    yield home
    shutil.rmtree(folder)


def use_everything(user: int, *commands: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", LIVE, str(user), *commands], capture_output=True, text=True, timeout=50
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.split()


def owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in (folder, *folder.rglob("*"))}


def test_root_with_another_users_home_creates_nothing_in_it(jane: Path) -> None:
    assert use_everything(0, *COMMANDS)[0] == "False"
    assert list(jane.iterdir()) == []
    assert use_everything(JANE, "status", "enable")[:3] == ["True", "0", "0"]
    assert owners(jane) == {JANE}


@pytest.mark.parametrize("first", ["enable", "status"])
def test_root_does_not_touch_a_spool_of_another_user(first: str, jane: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY_ENDPOINT", "http://127.0.0.1:9")
    assert use_everything(JANE, first, "preview") == ["True", "0", "0"]
    before = {path: path.lstat().st_mtime_ns for path in jane.rglob("*")}
    assert use_everything(0, *COMMANDS)[0] == "False"
    assert {path: path.lstat().st_mtime_ns for path in jane.rglob("*")} == before
    assert owners(jane) == {JANE}
    assert use_everything(JANE, "disable") == ["True", "0"]


@pytest.mark.parametrize("take", [lambda path: hold(path, 0.1), hold_in_host], ids=["in a command", "in a host"])
def test_root_takes_no_lock_in_a_directory_of_another_user(
    take: Callable[[str], AbstractContextManager[None]], tmp_path: Path
) -> None:
    os.chown(tmp_path, JANE, JANE)
    with pytest.raises(Unusable, match="a directory of another user"), take(str(tmp_path / "spool.lock")):
        pass
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_created_in_a_directory_of_another_user(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    trap.chmod(0o777)
    os.chown(trap, JANE, JANE)
    with pytest.raises(Unusable, match="belongs to another user"):
        make_directory(str(trap / "deepchecks" / "state"))
    assert list(trap.iterdir()) == []


@pytest.fixture
def dirs(home: Path) -> Home:
    """Directories in which another user has already written `on`, and their own endpoint."""
    found = find_home()
    os.makedirs(found.config, mode=0o700)
    Path(found.mode).write_text("on\n")
    Path(found.config, "endpoint").write_text("https://receiver.example.org\n")
    return found


@pytest.mark.parametrize(("owner", "mode"), [(JANE, 0o755), (0, 0o777), (0, 0o757)])
def test_a_choice_that_another_user_could_have_written_counts_as_off(dirs: Home, owner: int, mode: int) -> None:
    assert decide(dirs, {}).mode == "on"
    os.chown(dirs.config, owner, owner)
    os.chmod(dirs.config, mode)
    decision = decide(dirs, {})
    assert (decision.mode, decision.decided_by) == ("off", "your choice")
    levels = {found.name: found.level for found in examine(dirs)}
    assert levels["choice"] == "wrong"
    assert read_accounts(dirs).recorded == 0


def test_root_writes_no_choice_in_a_directory_of_another_user(dirs: Home) -> None:
    os.chown(dirs.config, JANE, JANE)
    with pytest.raises(Unusable, match=r"your choice cannot be written: .* belongs to another user"):
        choose(dirs, "local")
    assert Path(dirs.mode).read_text() == "on\n"


def test_a_choice_that_root_wrote_for_a_user_counts(jane: Path) -> None:
    folder = jane / ".config" / "deepchecks" / "telemetry"
    folder.mkdir(parents=True)
    (folder / "mode").write_text("off\n")
    assert use_everything(JANE, "status") == ["False", "0"]
    (folder / "mode").write_text("on\n")
    assert use_everything(JANE, "status") == ["True", "0"]
