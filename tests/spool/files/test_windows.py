"""The folders that only Windows knows; and a policy there that somebody else could have written does not count."""

import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from deepchecks_telemetry.spool.consent.decision import POLICY, decide, read_policy
from deepchecks_telemetry.spool.doctor import WRONG, examine
from deepchecks_telemetry.spool.errors import Unusable
from deepchecks_telemetry.spool.files import paths, windows
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.uploader.endpoint import find_endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint

windows_only = pytest.mark.skipif(sys.platform != "win32", reason="calls functions of Windows")


def real_module() -> dict[str, Any]:
    """The module that sitecustomize.py replaces."""
    return runpy.run_path(str(Path(paths.__file__).with_name("windows.py")))


@pytest.fixture
def planted(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A policy of another user, on Windows; elsewhere only the check is replaced."""
    os.makedirs(dirs.policy)
    Path(dirs.policy_mode).write_text("on")
    Path(dirs.policy, "endpoint").write_text("https://attacker.example.org")
    monkeypatch.setattr(windows, "is_administrators", lambda _: False)
    return dirs


def test_a_planted_mode_is_off_and_reported(planted: Home) -> None:
    decision = decide(planted, {})
    assert (decision.mode, decision.decided_by) == ("off", POLICY)
    (finding,) = [finding for finding in examine(planted) if finding.name == "policy"]
    assert finding.level == WRONG
    assert f"{planted.policy_mode} does not belong to the administrators" in finding.text


def test_nothing_is_sent_to_a_planted_endpoint(planted: Home) -> None:
    with pytest.raises(BadEndpoint, match="does not belong to the administrators") as caught:
        find_endpoint(planted, environ={})
    assert caught.value.source == POLICY


def test_without_a_policy_nothing_is_checked(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "is_administrators", pytest.fail)
    assert read_policy(dirs).mode is None
    assert find_endpoint(dirs, environ={}) is None


@windows_only
def test_only_files_of_an_administrator_count(tmp_path: Path) -> None:
    import ctypes

    path = tmp_path / "mode"
    path.write_text("on")
    system: Any = ctypes.__dict__["windll"]
    is_administrators = real_module()["is_administrators"]
    is_wine = hasattr(system.ntdll, "wine_get_version")  # Wine has one user, and no file of another owner
    assert is_administrators(str(path)) is (not is_wine and bool(system.shell32.IsUserAnAdmin()))
    assert is_administrators(str(tmp_path / "missing")) is False


@windows_only
def test_the_folders_are_those_of_platformdirs() -> None:
    theirs, module = platformdirs.PlatformDirs(appauthor=False), real_module()
    assert module["find_folder"](module["LOCAL_APPDATA"]) == theirs.user_state_dir
    assert module["find_folder"](module["COMMON_APPDATA"]) == theirs.site_config_dir


@windows_only
def test_a_missing_folder_is_an_error() -> None:
    with pytest.raises(Unusable, match="no home directory"):
        real_module()["find_folder"](0xFF)


@windows_only
def test_the_folders_are_found_without_a_library(dirs: Home, run: Callable[..., str]) -> None:
    """Without sitecustomize.py, so the real folders are found; what is recorded is in the test's own."""
    code = "import sys; from deepchecks_telemetry.spool import record; print(record('run-check'), *sys.modules)"
    result, *loaded = run(code, PYTHONPATH="").split()
    assert result == "True"
    assert {"ctypes", "pathlib", "platformdirs"} & set(loaded) == {"ctypes"}
    assert read_accounts(dirs).recorded == 1
