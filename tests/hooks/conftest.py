"""Runs real processes with their own spool; the recorded events are read from that spool."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import venv
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import MACHINE

from deepchecks_telemetry.hooks.compatibility import deepchecks_folder
from deepchecks_telemetry.hooks.pth.file import install_file
from deepchecks_telemetry.spool.catalogue import EVENT_NAMES

Run = Callable[..., subprocess.CompletedProcess[str]]
Counts = dict[str, int]
Query = Callable[[str], list[Any]]

# Variables that would change a child's mode, its endpoint or what it sends. CI is removed so that a run is the same
# everywhere.
_UNWANTED = ("DEEPCHECKS_TELEMETRY", "DISABLE_", "DO_NOT_TRACK", "PYTEST_", "PYTHON", "WANDB_", "COV_", "CI")


CHECK = """
class SingleDatasetCheck:
    def run(self, inner=None):
        return inner.run() if inner else 'a result'
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The variables of a child that records into a directory of this test and has no endpoint."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(_UNWANTED)}
    return kept | {
        "DEEPCHECKS_TELEMETRY": "on",
        "DEEPCHECKS_TELEMETRY_DIR": str(tmp_path / "home"),
        "MPLBACKEND": "Agg",
        "WANDB_MODE": "offline",
        "WANDB_SILENT": "true",
        "WANDB_ERROR_REPORTING": "false",
    }


@pytest.fixture
def run(tmp_path: Path, environ: dict[str, str]) -> Run:
    """Run Python code, or a file, in a new process; a failure shows what the process printed."""

    def run_python(
        *arguments: str, python: str = sys.executable, stdin: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        command = [python, *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=environ | variables, input=stdin, capture_output=True, text=True, timeout=110
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run_python


@pytest.fixture
def query(tmp_path: Path) -> Query:
    """Query the spool of this test; an empty list if it does not exist."""

    def execute(sql: str) -> list[Any]:
        path = tmp_path / "home" / "state" / "spool.db"
        if not path.exists():
            return []
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(sql).fetchall()

    return execute


@pytest.fixture
def recorded(query: Query) -> Callable[[], Counts]:
    """How often each event is in the spool."""
    sql = "SELECT event, count(*) FROM events WHERE event > 0 GROUP BY event"
    return lambda: {EVENT_NAMES[number]: count for number, count in query(sql)}


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """The site-packages of a virtual environment of this test, which also finds the packages of the test run."""
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=False, symlinks=os.name == "posix")
    (packages,) = [*folder.glob("lib/python*/site-packages"), *folder.glob("Lib/site-packages")]
    (packages / "packages_of_the_tests.pth").write_text("\n".join(filter(os.path.isabs, sys.path)))
    return packages


@pytest.fixture
def attached(environment: Path) -> str:
    """The interpreter of an environment with the attach file."""
    install_file(environment)
    return interpreter_of(environment)


@pytest.fixture
def bare(environment: Path) -> str:
    """The interpreter of an environment without the attach file."""
    return interpreter_of(environment)


@pytest.fixture
def interpreter(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """The interpreter that attaches in the given way."""
    return lambda how: request.getfixturevalue("attached") if how == "file" else sys.executable


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A copy of the released deepchecks, in which a test may write next to its code."""
    folder = deepchecks_folder()
    assert folder is not None
    unwanted = shutil.ignore_patterns("__pycache__", ".user_id")
    return Path(shutil.copytree(folder, tmp_path / "copy" / "deepchecks", ignore=unwanted))


def interpreter_of(packages: Path) -> str:
    """The Python of the environment with this site-packages."""
    root = packages.parents[1] if os.name == "nt" else packages.parents[2]
    return str(root / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


@pytest.fixture
def last_json() -> Callable[[subprocess.CompletedProcess[str]], Any]:
    """Parses the last line that a script printed as JSON."""
    return lambda done: json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def library(tmp_path: Path) -> str:
    """A PYTHONPATH with a small replacement for deepchecks, whose import does not take seconds."""
    package = tmp_path / "library" / "deepchecks"
    (package / "tabular").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "tabular" / "__init__.py").touch()
    (package / "tabular" / "base_checks.py").write_text(CHECK)
    return os.pathsep.join([str(package.parent), str(MACHINE)])
