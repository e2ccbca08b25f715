"""A policy that somebody else could have written does not count, on Windows, where any user may create its files."""

import os
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.spool.consent.decision import POLICY, decide, read_policy
from deepchecks_telemetry.spool.doctor import WRONG, examine
from deepchecks_telemetry.spool.files import administrators, paths
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.uploader.endpoint import find_endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint


@pytest.fixture
def planted(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A policy of another user, on Windows; elsewhere only the check is replaced."""
    os.makedirs(dirs.policy)
    Path(dirs.policy_mode).write_text("on")
    Path(dirs.policy, "endpoint").write_text("https://attacker.example.org")
    monkeypatch.setattr(administrators, "is_administrators", lambda _: False)
    return dirs


def test_a_planted_mode_is_off_and_reported(planted: Home) -> None:
    assert decide(planted, {})[:2] == ("off", POLICY)
    (finding,) = [finding for finding in examine(planted) if finding.name == "policy"]
    assert finding.level == WRONG
    assert f"{planted.policy_mode} does not belong to the administrators" in finding.text


def test_nothing_is_sent_to_a_planted_endpoint(planted: Home) -> None:
    with pytest.raises(BadEndpoint, match="does not belong to the administrators") as caught:
        find_endpoint(planted, environ={})
    assert caught.value.source == POLICY


def test_without_a_policy_nothing_is_checked(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(administrators, "is_administrators", pytest.fail)
    assert read_policy(dirs).mode is None
    assert find_endpoint(dirs, environ={}) is None


@pytest.mark.skipif(sys.platform != "win32", reason="only on Windows may every user create the policy's files")
def test_only_files_of_an_administrator_count(tmp_path: Path) -> None:
    import ctypes

    path = tmp_path / "mode"
    path.write_text("on")
    system: Any = ctypes.__dict__["windll"]
    module = Path(paths.__file__).with_name("administrators.py")  # which sitecustomize.py replaces
    is_administrators = runpy.run_path(str(module))["is_administrators"]
    is_wine = hasattr(system.ntdll, "wine_get_version")  # Wine has one user, and no file of another owner
    assert is_administrators(str(path)) is (not is_wine and bool(system.shell32.IsUserAnAdmin()))
    assert is_administrators(str(tmp_path / "missing")) is False
