"""A spool for each test, SQL access to it, and the other interpreters of this machine."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import MACHINE

from deepchecks_telemetry.spool.batches.seal import Row
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.recording import record as recording

Run = Callable[..., str]
Sql = Callable[..., list[Any]]
RUN_S = 180 if os.name == "nt" else 60  # under Wine programs are some five times slower


@pytest.fixture(autouse=True)
def _closed_session() -> Iterator[None]:
    yield
    recording.close()


@pytest.fixture
def dirs(home: Path) -> Home:
    """The directories that this test records into."""
    return find_home()


@pytest.fixture
def sql(dirs: Home) -> Sql:
    """Run SQL on the spool, as in an SQLite shell."""

    def execute(statement: str, *values: object) -> list[Any]:
        with closing(sqlite3.connect(dirs.spool, isolation_level=None, timeout=10)) as connection:
            return connection.execute(statement, values).fetchall()

    return execute


@pytest.fixture
def render() -> Callable[[str, list[Row]], bytes]:
    """Render a body that contains all arguments."""
    return lambda installation, rows: "\n".join([installation, *map(repr, rows)]).encode()


@pytest.fixture
def run() -> Run:
    """Run code in a new process and return its output; it must succeed, with nothing on stderr."""

    def run_python(code: str, *arguments: str, python: str = sys.executable, **variables: str) -> str:
        done = subprocess.run(
            [python, "-c", code, *arguments], env=os.environ | variables, capture_output=True, text=True, timeout=RUN_S
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout

    return run_python


@pytest.fixture(scope="session")
def sources() -> str:
    """A PYTHONPATH with which any interpreter finds these packages, and the library that they need."""
    packages = [str(Path(folder).parent) for folder in import_module("deepchecks_telemetry").__path__]
    needed = str(Path(str(import_module("filelock").__file__)).parents[1])
    return os.pathsep.join(dict.fromkeys([*packages, needed, str(MACHINE)]))


@pytest.fixture(scope="session")
def pythons(sources: str) -> list[str]:
    """The interpreters on this machine that can run the packages installed for this one; this one is first."""
    others = [shutil.which(f"python3.{minor}") for minor in range(10, 14) if minor != sys.version_info[1]]
    return [sys.executable, *(path for path in others if path and _can_run(path, sources))]


def _can_run(python: str, sources: str) -> bool:
    needed = [python, "-c", "import sqlite3, filelock"]
    environ = os.environ | {"PYTHONPATH": sources}
    return subprocess.run(needed, env=environ, capture_output=True, timeout=30).returncode == 0
