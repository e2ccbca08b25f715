"""The paths of all our files; finding them creates nothing on disk."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from deepchecks_telemetry.spool.errors import Unusable
from deepchecks_telemetry.spool.files import paths
from deepchecks_telemetry.spool.files.paths import MACOS, find_home


def test_the_variable_moves_state_and_choice_but_not_the_policy(tmp_path: Path) -> None:
    moved, usual = find_home({"DEEPCHECKS_TELEMETRY_DIR": str(tmp_path / "x")}), find_home({"HOME": str(tmp_path)})
    assert (moved.state, moved.config) == (str(tmp_path / "x" / "state"), str(tmp_path / "x" / "config"))
    assert moved.policy == usual.policy
    ending = ("deepchecks", "telemetry", "state") if sys.platform == "win32" else ("deepchecks", "telemetry")
    assert Path(usual.state).parts[-len(ending) :] == ending


@pytest.mark.usefixtures("registered")
def test_an_empty_variable_counts_as_not_set() -> None:
    assert find_home({"DEEPCHECKS_TELEMETRY_DIR": ""}) == find_home({})


def test_a_relative_directory_does_not_follow_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = find_home({"DEEPCHECKS_TELEMETRY_DIR": "here"})
    assert found.spool == str(tmp_path / "here" / "state" / "spool.db")
    assert os.path.isabs(found.mode)


def test_all_paths_are_in_the_three_directories(tmp_path: Path) -> None:
    home = find_home({"HOME": str(tmp_path)})
    assert {os.path.dirname(path) for path in (home.spool, home.lock, home.upload_lock)} == {home.state}
    assert (os.path.dirname(home.mode), os.path.dirname(home.policy_mode)) == (home.config, home.policy)


def test_finding_the_directories_creates_none(tmp_path: Path) -> None:
    before = list(tmp_path.rglob("*"))
    find_home()
    assert list(tmp_path.rglob("*")) == before


PATHS = ["", "relative", "/absolute", "/with/slash/", "~/tilde", " /blank"]


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="platformdirs follows other rules on this system")
@pytest.mark.parametrize("user", [*PATHS, None])
@pytest.mark.usefixtures("registered")
def test_the_directories_are_those_of_platformdirs(monkeypatch: pytest.MonkeyPatch, user: str | None) -> None:
    monkeypatch.delenv("DEEPCHECKS_TELEMETRY_DIR")
    monkeypatch.setenv("HOME", user) if user is not None else monkeypatch.delenv("HOME")
    # Older versions accept relative paths, against the specification, and Python 3.10 gets no newer one.
    strict = tuple(map(int, platformdirs.__version__.split(".")[:3])) > (4, 14, 0)
    if not strict and not (user and os.path.isabs(user)):
        pytest.skip("this platformdirs takes a relative home folder")
    for state, config in itertools.product(PATHS if strict else ["", *filter(os.path.isabs, PATHS)], repeat=2):
        monkeypatch.setenv("XDG_STATE_HOME", state)
        monkeypatch.setenv("XDG_CONFIG_HOME", config)
        theirs, found = platformdirs.PlatformDirs("deepchecks", appauthor=False), find_home()
        assert Path(found.state) == Path(theirs.user_state_dir, "telemetry")
        assert Path(found.config) == Path(theirs.user_config_dir, "telemetry")


@pytest.mark.skipif(sys.platform == "win32", reason="paths of POSIX")
def test_on_macos_the_directories_are_in_library_unless_xdg_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    library = "Library/Application Support"
    monkeypatch.setattr(paths, "USUAL", MACOS)
    folder = f"/Users/x/{library}/deepchecks/telemetry"
    assert find_home({"HOME": "/Users/x"}) == (folder, folder, f"/{library}/deepchecks/telemetry", None)
    moved = find_home({"HOME": "/Users/x", "XDG_STATE_HOME": "/s"})
    assert (moved.state, moved.config) == ("/s/deepchecks/telemetry", folder)


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX user's number may have no name")
def test_a_user_without_a_home_directory_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    with pytest.raises(Unusable, match="no home directory"):
        find_home({})


def test_finding_the_directories_imports_no_library() -> None:
    code = (
        "import sys\nfrom deepchecks_telemetry.spool.files.paths import find_home\n"
        "find_home()\nsys.exit('platformdirs' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
