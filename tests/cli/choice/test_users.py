"""`disable --all-users`: each user is wiped by a process of that user, and root leaves no file."""

import json
import os
import shutil
import signal
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from deepchecks_telemetry.spool.files.paths import Home

Run = Callable[..., CompletedProcess[str]]

root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become other users")
# Two users without an entry in the user database; all of their variables have the default.
JANE, JOHN = 61_001, 61_002

RECORD = """
import os, sys
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.uploader.flush import seal_next
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.stats import read_accounts
import filelock, sqlite_utils  # before the change of user, who may have no permission to read them
user = int(sys.argv[1])
os.setgroups([]), os.setgid(user), os.setuid(user)
assert record("run-check")
assert seal_next(find_home())
assert record("run-suite")
print(sys.prefix, read_accounts(find_home()).installation_id)
os._exit(0)
"""


@pytest.fixture
def homes(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[int, Path]]:
    """Two users' home directories, outside pytest's own directories, which other users may not enter."""
    parent = Path(tempfile.mkdtemp(prefix="homes-"))
    parent.chmod(0o755)
    folders = {user: parent / str(user) for user in (JANE, JOHN)}
    for user, folder in folders.items():
        folder.mkdir(mode=0o700)
        os.chown(folder, user, user)
    for name in ("DEEPCHECKS_TELEMETRY_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
        monkeypatch.delenv(name)
    yield folders
    shutil.rmtree(parent)


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three virtual environments with access to the packages of this one."""
    pythons = []
    for number in range(3):
        folder = tmp_path_factory.mktemp("environment") / str(number)
        venv.create(folder, with_pip=False, symlinks=True)
        (packages,) = folder.glob("lib/python*/site-packages")
        (packages / "packages.pth").write_text("\n".join(filter(os.path.isabs, sys.path)))
        pythons.append(str(folder / "bin" / "python"))
    return pythons


def owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in (folder, *folder.rglob("*"))}


def files_with_recorded_data(folder: Path, identifier: str) -> list[str]:
    """Files that contain the identifier or the name of an event."""
    words = (identifier.encode(), b"run-check", b"run-suite")
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if any(word in path.read_bytes() for word in words)]


@root
def test_root_wipes_two_users_with_three_environments_each_and_leaves_no_file_of_its_own(
    homes: dict[int, Path], environments: list[str], python: Run, program: Run
) -> None:
    identifiers = {}
    for user, folder in homes.items():
        home = str(folder)
        lines = [python("-c", RECORD, str(user), python=each, HOME=home).stdout.split() for each in environments]
        assert len({prefix for prefix, _ in lines}) == 3
        (identifiers[user],) = {identifier for _, identifier in lines}
        assert files_with_recorded_data(folder, identifiers[user]) != []
    done = program("disable", "--all-users", *map(str, homes.values()), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    results = json.loads(done.stdout)
    assert [(result["user"], result["home"], result["error"]) for result in results] == [
        (str(user), str(folder), None) for user, folder in homes.items()
    ]
    for result, (user, folder) in zip(results, homes.items(), strict=True):
        assert result["facts"]["removed"]["events"] == 6
        assert result["facts"]["removed"]["identifiers"] == 1
        assert files_with_recorded_data(folder, identifiers[user]) == []
        assert owners(folder) == {user}
        (mode,) = result["facts"]["off"]
        assert Path(mode).read_text() == "off\n"


@root
def test_a_link_to_files_of_root_affects_only_the_user_who_made_it(
    homes: dict[int, Path], tmp_path: Path, program: Run, python: Run
) -> None:
    """The link replaces the state directory and the configuration; the other user is wiped."""
    (tmp_path / "roots").mkdir(mode=0o700)
    (tmp_path / "roots" / "spool.db").write_text("mine")
    (homes[JANE] / ".local" / "state" / "deepchecks").mkdir(parents=True)
    (homes[JANE] / ".local" / "state" / "deepchecks" / "telemetry").symlink_to(tmp_path / "roots")
    (homes[JANE] / ".config").symlink_to(tmp_path / "roots")
    (_, identifier) = python("-c", RECORD, str(JOHN), HOME=str(homes[JOHN])).stdout.split()
    done = program("disable", "--all-users", *map(str, homes.values()))
    assert done.returncode == 1
    assert f"{JANE} ({homes[JANE]}): Error: " in done.stderr
    assert done.stderr.endswith(f"Error: Not wiped for {homes[JANE]}. See the errors above.\n")
    assert f"{JOHN} ({homes[JOHN]}): Removed: 2 events, 2 rows, 1 batch, 1 identifier and " in done.stdout
    assert [path.name for path in (tmp_path / "roots").iterdir()] == ["spool.db"]
    assert (tmp_path / "roots" / "spool.db").read_text() == "mine"
    assert files_with_recorded_data(homes[JOHN], identifier) == []


@root
def test_without_arguments_all_users_of_the_user_database_are_wiped(
    homes: dict[int, Path], monkeypatch: pytest.MonkeyPatch, deepchecks: Run
) -> None:
    import pwd

    entries = [
        pwd.struct_passwd(("daemon", "x", 2, 2, "", "/", "")),  # a service
        pwd.struct_passwd(("nobody", "x", 65_534, 65_534, "", "/nonexistent", "")),
        *(pwd.struct_passwd((f"user{user}", "x", user, user, "", str(home), "")) for user, home in homes.items()),
    ]
    monkeypatch.setattr(pwd, "getpwall", lambda: entries)
    results = json.loads(deepchecks("disable", "--all-users", "--json").stdout)
    assert [result["user"] for result in results] == [f"user{JANE}", f"user{JOHN}"]
    assert all((home / ".config/deepchecks/telemetry/mode").read_text() == "off\n" for home in homes.values())


@root
def test_a_process_of_a_user_that_hangs_is_killed(homes: dict[int, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from deepchecks_telemetry.cli.choice.users import find_users, run_as  # imports pwd, which Windows lacks

    (user,) = find_users([str(homes[JANE])])

    def hang(_: Home) -> dict[str, Any]:
        signal.pause()
        return {}

    assert run_as(user, hang, timeout_s=0.2) == {
        "facts": None,
        "error": "the process of this user did not report within 0 s",
    }


@root
def test_a_directory_of_root_is_refused_as_a_home(tmp_path: Path, deepchecks: Run) -> None:
    done = deepchecks("disable", "--all-users", str(tmp_path))
    assert done.returncode == 1
    assert "belongs to root" in done.stderr
    assert list(tmp_path.rglob("mode")) == []


def test_home_arguments_without_all_users_are_a_usage_error(deepchecks: Run, tmp_path: Path) -> None:
    done = deepchecks("disable", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert list(tmp_path.rglob("mode")) == []
