"""Packaged programs: a frozen one is not started again, and one in an archive starts its uploader from it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.spool.stored import stored
from tests.uploader.conftest import Receiver

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import ON
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.uploader.background import why_no_uploader
from deepchecks_telemetry.uploader.endpoint import configure

pytestmark = [pytest.mark.timeout(600), pytest.mark.skipif(os.name == "nt", reason="reads /proc, runs from a shell")]

CHECKOUT = Path(__file__).parents[2]
BASE = os.path.realpath(sys.executable)  # the interpreter that created the virtual environment
PROGRAM = """
import sys
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.uploader.background import upload_if_due, why_no_uploader
def main():
    open(sys.argv[1], "a").write(f"{sys.argv[2:]} {why_no_uploader()}\\n")
    assert record("run-check")
    upload_if_due()
if __name__ == "__main__":
    main()
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().running() as running:
        yield running


@pytest.fixture
def due(spool: Home, receiver: Receiver) -> Home:
    """A spool with one event, whose upload is due."""
    assert record("run-check")
    choose(spool, ON)
    configure(spool, receiver.endpoint.url)
    with opened(spool) as connection:
        connection.execute("UPDATE spool SET next_upload = 1")
    return spool


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A directory with the program as the module `app`."""
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "app.py").write_text(PROGRAM)
    return folder


def tool(module: str, *command: object) -> None:
    """Run a tool of the dependency group `hosts`; skip the test if it is not installed."""
    if find_spec(module.partition(".")[0]) is None:
        pytest.skip(f"{module} is not installed: it is in the dependency group `hosts`")
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, command)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    folder = tmp_path / "wheel"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=CHECKOUT, capture_output=True, check=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


def run(*command: object) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def processes_of(program: Path) -> list[str]:
    pids = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe") == str(program):
                pids.append(pid)
        except OSError:
            continue
    return pids


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_frozen_program_that_is_named_like_an_interpreter_runs_once(
    due: Home, receiver: Receiver, sources: Path, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    folders = [f"--{name}={tmp_path / name}" for name in ("distpath", "workpath", "specpath")]
    paths = [f"--paths={CHECKOUT / package}" for package in ("spool", "uploader")]
    metadata = "--copy-metadata=deepchecks-telemetry"
    main = sources / "app.py"
    tool("PyInstaller", "--name=python3", "--onedir", metadata, *folders, *paths, main)
    program = (tmp_path / "distpath" / "python3" / "python3").resolve()
    run(program, tmp_path / "runs")
    wait_until(lambda: processes_of(program) == [])
    (line,) = (tmp_path / "runs").read_text().splitlines()
    assert "frozen" in line
    assert (read_accounts(due).recorded, stored(due).next_upload, receiver.requests) == (2, 1, [])


@pytest.fixture
def startable() -> None:
    reason = why_no_uploader()
    if reason:
        (pytest.fail if os.environ.get("GATE") else pytest.skip)(reason)


@pytest.mark.usefixtures("startable")
@pytest.mark.parametrize("mode", [[], ["--venv"]], ids=["unpacked", "venv"])
def test_a_pex_uploads(
    due: Home, sources: Path, wheel: Path, tmp_path: Path, wait_until: Callable[..., None], mode: list[str]
) -> None:
    target = tmp_path / "app.pex"
    roots = [f"--{name}={tmp_path / 'root'}" for name in ("pex-root", "runtime-pex-root")]
    tool("pex", wheel, "-D", sources, "-e", "app:main", "-o", target, *roots, *mode)
    run(BASE, target, tmp_path / "runs")
    wait_until(lambda: read_accounts(due).delivered == 2)
    assert (tmp_path / "runs").read_text() == "[] None\n"


@pytest.mark.usefixtures("startable")
def test_a_shiv_uploads(due: Home, sources: Path, wheel: Path, tmp_path: Path, wait_until: Callable[..., None]) -> None:
    (sources / "pyproject.toml").write_text(
        '[project]\nname = "app"\nversion = "1"\n[tool.setuptools]\npy-modules = ["app"]\n'
    )
    target = tmp_path / "app.pyz"
    tool("shiv.cli", "-e", "app:main", "-o", target, wheel, sources)
    run(BASE, target, tmp_path / "runs")
    wait_until(lambda: read_accounts(due).delivered == 2)
    assert (tmp_path / "runs").read_text() == "[] None\n"
