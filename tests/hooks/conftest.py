"""Real processes with a spool of their own; what they did is read from that spool."""

import json
import os
import sqlite3
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.hooks import install_file
from deepchecks_telemetry.spool.catalogue import NAMES

Run = Callable[..., subprocess.CompletedProcess[str]]
Counts = dict[str, int]

# What would change a child's mode, its endpoint or what it sends by itself. CI is kept out so that a run here is the
# same everywhere.
_UNWANTED = ("DEEPCHECKS_TELEMETRY", "DISABLE_", "DO_NOT_TRACK", "PYTEST_", "PYTHON", "WANDB_", "COV_", "CI")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The variables of a child that records into a folder of this test and has nowhere to send to."""
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
    """Run Python code, or a file, in a process of its own; a failure shows what the process said."""

    def run_python(*arguments: str, python: str = sys.executable, **variables: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [python, *arguments], cwd=tmp_path, env=environ | variables, capture_output=True, text=True, timeout=110
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run_python


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[[], Counts]:
    """How often each event stands in the spool."""

    def read() -> Counts:
        path = tmp_path / "home" / "state" / "spool.db"
        if not path.exists():
            return {}
        connection = sqlite3.connect(path)
        found = connection.execute("SELECT event, count(*) FROM events WHERE event > 0 GROUP BY event").fetchall()
        connection.close()
        return {NAMES[number]: count for number, count in found}

    return read


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment that sees what this one sees: its site-packages is a folder of this test."""
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=False, symlinks=os.name == "posix")
    (packages,) = [*folder.glob("lib/python*/site-packages"), *folder.glob("Lib/site-packages")]
    (packages / "what_the_tests_see.pth").write_text("\n".join(filter(os.path.isabs, sys.path)))
    return packages


@pytest.fixture
def opted_in(environment: Path) -> str:
    """The interpreter of an environment with the opt-in file."""
    install_file(environment)
    return interpreter_of(environment)


@pytest.fixture
def bare(environment: Path) -> str:
    """The interpreter of an environment without it."""
    return interpreter_of(environment)


def interpreter_of(packages: Path) -> str:
    """The Python that a site-packages folder belongs to."""
    root = packages.parents[1] if os.name == "nt" else packages.parents[2]
    return str(root / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def last_json(done: subprocess.CompletedProcess[str]) -> Any:
    """What a script printed on its last line."""
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def said() -> Callable[[subprocess.CompletedProcess[str]], Any]:
    """What a script printed on its last line, as JSON."""
    return last_json
