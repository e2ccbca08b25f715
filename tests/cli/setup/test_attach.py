"""`attach` and `detach`: one environment is counted and no other, and it is undone without a trace."""

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
    """Stands for the released deepchecks; whether it is the real one makes no difference to its import."""
    (tmp_path / "library" / "deepchecks").mkdir(parents=True)
    (tmp_path / "library" / "deepchecks" / "__init__.py").write_text('"""The library."""\n')
    return os.pathsep.join([str(tmp_path / "library"), str(MACHINE)])


def packages(tmp_path: Path) -> list[str]:
    """What lies in the environment's site-packages."""
    folders = [*tmp_path.glob("environment/lib/python*/site-packages"), *tmp_path.glob("environment/Lib/site-packages")]
    return sorted(path.name for folder in folders for path in folder.iterdir())


def test_an_attached_environment_counts_and_a_detached_one_does_not(
    python: Run, environment: str, library: str, tmp_path: Path
) -> None:
    def recorded() -> tuple[bool, int]:
        facts = json.loads(python(*TELEMETRY, "status", "--json", python=environment).stdout)
        return facts["attached"], facts["recorded"]

    before = packages(tmp_path)
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
    assert packages(tmp_path) == before


def test_to_detach_twice_is_no_failure(python: Run, environment: str) -> None:
    done = python(*TELEMETRY, "detach", python=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "This environment was not attached.\n", "")


def test_what_this_deepchecks_lacks_is_said_and_the_rest_is_counted(
    python: Run, environment: str, library: str
) -> None:
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
    (folder / "deepchecks_telemetry_attach.pth").mkdir()  # also root cannot replace a folder by a file
    done = python(*TELEMETRY, "attach", python=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: Cannot write {os.fspath(folder)}")
    assert done.stderr.count("\n") == 1
