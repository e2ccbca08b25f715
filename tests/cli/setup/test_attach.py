"""`attach` and `detach`: events are recorded in one environment only, and detaching removes every change."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.conftest import MACHINE

Run = Callable[..., CompletedProcess[str]]

DEEPCHECKS = "import deepchecks"
TELEMETRY = ("-m", "deepchecks_telemetry.cli", "telemetry")


@pytest.fixture
def library(tmp_path: Path) -> str:
    """An empty package in place of the released deepchecks; its import is recorded just the same."""
    (tmp_path / "library" / "deepchecks").mkdir(parents=True)
    (tmp_path / "library" / "deepchecks" / "__init__.py").write_text('"""The library."""\n')
    return os.pathsep.join([str(tmp_path / "library"), str(MACHINE)])


def installed(tmp_path: Path) -> list[str]:
    """The names of the files in the site-packages of the environment."""
    folders = [*tmp_path.glob("environment/lib/python*/site-packages"), *tmp_path.glob("environment/Lib/site-packages")]
    return sorted(path.name for folder in folders for path in folder.iterdir())


def test_an_attached_environment_records_and_a_detached_one_does_not(
    python: Run, environment: str, library: str, tmp_path: Path
) -> None:
    def recorded() -> tuple[bool, int]:
        report = json.loads(python(*TELEMETRY, "status", "--json", python=environment).stdout)
        return report["attached"], report["recorded"]

    before = installed(tmp_path)
    python("-c", DEEPCHECKS, python=environment, PYTHONPATH=library)
    assert recorded() == (False, 0)

    done = python(*TELEMETRY, "attach", python=environment, PYTHONPATH=library)
    assert done.returncode == 0
    assert done.stdout.startswith("Attached this environment; wrote ")
    assert recorded() == (True, 0)
    python("-c", DEEPCHECKS, python=environment, PYTHONPATH=library)
    assert recorded() == (True, 1)
    assert json.loads(python(*TELEMETRY, "status", "--json").stdout)["attached"] is False
    assert "  environment   attached\n" in python(*TELEMETRY, "status", python=environment).stdout

    done = python(*TELEMETRY, "detach", python=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Detached this environment; removed ")
    python("-c", DEEPCHECKS, python=environment, PYTHONPATH=library)
    assert recorded() == (False, 1)
    assert installed(tmp_path) == before


def test_detaching_twice_succeeds(python: Run, environment: str) -> None:
    done = python(*TELEMETRY, "detach", python=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "This environment was not attached.\n", "")


def test_events_that_the_installed_deepchecks_lacks_are_named(python: Run, environment: str, library: str) -> None:
    done = python(*TELEMETRY, "attach", python=environment, PYTHONPATH=library)
    assert done.returncode == 0
    assert "some events are missed: " in done.stderr
    assert "run-check" in done.stderr
    assert "package-import" not in done.stderr


def test_an_environment_that_cannot_be_written_is_one_line(python: Run, environment: str, tmp_path: Path) -> None:
    (folder,) = [
        *tmp_path.glob("environment/lib/python*/site-packages"),
        *tmp_path.glob("environment/Lib/site-packages"),
    ]
    (folder / "deepchecks_telemetry_attach.pth").mkdir()  # not even root can replace a directory by a file
    done = python(*TELEMETRY, "attach", python=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: Cannot write {os.fspath(folder)}")
    assert done.stderr.count("\n") == 1
