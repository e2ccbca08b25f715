"""Campaigns: many rounds with random faults, in a short form by default, and in the long form with `--long`."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from deepchecks_telemetry.spool.files.paths import Home, find_home

WaitUntil = Callable[..., None]
KILLED = 1 if os.name == "nt" else -signal.SIGKILL  # the exit code of a process after `Popen.kill`


class Python(NamedTuple):
    """An interpreter, and code that must run in it before our package is imported."""

    path: str
    first: str = ""


@pytest.fixture
def in_full(request: pytest.FixtureRequest) -> bool:
    """Whether to run the long form."""
    return bool(request.config.getoption("--long"))


@pytest.fixture
def spool(home: Path) -> Home:
    """The directories that all processes of this campaign share."""
    return find_home()


@pytest.fixture
def wait_until() -> WaitUntil:
    """Waits for another process, up to a timeout."""

    def wait(condition: Callable[[], bool], *, timeout_s: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "another process did not get this far in time"
            threading.Event().wait(0.002)

    return wait


@pytest.fixture
def pythons(in_full: bool, tmp_path: Path) -> list[Python]:
    """This interpreter; in the long form an environment for each supported Python, and one with another SQLite."""
    if not in_full:
        return [Python(sys.executable)]
    installed = [path for minor in range(10, 14) if (path := shutil.which(f"python3.{minor}")) and _runs(path)]
    if len(installed) < 2:
        pytest.skip(f"needs two supported Python versions; found {installed}")
    environments = [_environment(path, tmp_path / f"venv{number}") for number, path in enumerate(installed)]
    other = _environment(installed[-1], tmp_path / "other-sqlite", "pysqlite3-binary")
    first = "import pysqlite3, sys\nsys.modules['sqlite3'] = pysqlite3\n"
    return [*map(Python, environments), Python(other, first)]


def _runs(path: str) -> bool:
    return subprocess.run([path, "-c", "import sqlite3, venv"], capture_output=True, timeout=60).returncode == 0


def _environment(python: str, folder: Path, *more: str) -> str:
    subprocess.run([python, "-m", "venv", folder], check=True, timeout=120)
    interpreter = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    needed = ["filelock>=3.30", *more]
    install = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *needed]
    if subprocess.run(install, capture_output=True, timeout=300).returncode:
        pytest.skip(f"pip cannot install {needed} on this machine")
    query = [interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(query, capture_output=True, text=True, check=True, timeout=60).stdout.strip())
    roots = [str(Path(package).parent) for package in import_module("deepchecks_telemetry").__path__]
    (packages / "sources.pth").write_text("\n".join(roots))
    return interpreter
