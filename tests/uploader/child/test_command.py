"""The uploader runs this package from where the host found it, and no planted modules."""

import os
import shutil
import subprocess
import sys
import sysconfig
import time
import zipapp
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.conftest import MACHINE
from tests.uploader.programs import HOST, PATIENCE_S, Children, host, set_due

from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.uploader.child import command

if TYPE_CHECKING:
    from tests.uploader.conftest import Receiver

pytestmark = pytest.mark.usefixtures("startable")
ROOTS = [str(Path(package).parent) for package in import_module("deepchecks_telemetry").__path__]
LIBRARIES = sysconfig.get_path("purelib")
# The interpreter that created the virtual environment; on POSIX, Python 3.10 does not have it in `sys`.
BASE: str = os.path.realpath(sys.executable if os.name == "posix" else sys._base_executable)  # type: ignore[attr-defined]
# Two modules of the standard library, and some that urllib3 and requests import if they are installed.
PLANTED = ("queue", "gzip", "brotli", "socks", "chardet", "simplejson")
START = "from deepchecks_telemetry.uploader import upload_if_due; upload_if_due()"


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A directory with modules that write to a file when they are executed."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in PLANTED:
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r} + ' ')\n")
    return folder


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def run(*arguments: str, cwd: Path, **variables: str) -> None:
    done = subprocess.run(arguments, cwd=cwd, env={**os.environ, **variables}, capture_output=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("location", ["working directory", "script", "PYTHONPATH", "relative PYTHONPATH"])
def test_planted_modules_are_not_run(due: Home, planted: Path, tmp_path: Path, location: str) -> None:
    (planted / "script.py").write_text(START)
    paths = {"PYTHONPATH": str(planted), "relative PYTHONPATH": "project"}
    program = [str(planted / "script.py")] if location == "script" else ["-c", START]
    folder = planted if location == "working directory" else tmp_path
    searched = os.pathsep.join(filter(None, [paths.get(location), os.environ.get("PYTHONPATH")]))
    run(sys.executable, *program, cwd=folder, PYTHONPATH=searched)
    wait_until(lambda: (tmp_path / "ran").exists() or read_accounts(due).delivered == 3)
    assert not (tmp_path / "ran").exists()


def test_the_uploader_runs_in_the_spools_directory_not_in_the_root(due: Home, children: Children) -> None:
    program = host(HOST, "", str(children.python), cwd=Path(os.sep))
    assert program.communicate(timeout=PATIENCE_S) == ("", "")
    children.wait()
    assert children.working_directories() == [os.path.realpath(due.state)]


@pytest.fixture
def bare() -> str:
    """An interpreter whose import path does not contain this package."""
    if subprocess.run([BASE, "-I", "-c", "import deepchecks_telemetry"], capture_output=True).returncode == 0:
        pytest.skip("this package is installed for the base interpreter")
    return BASE


def test_the_package_is_found_by_a_relative_pythonpath(due: Home, bare: str, tmp_path: Path) -> None:
    paths = [os.path.relpath(path, tmp_path) for path in (*ROOTS, LIBRARIES, str(MACHINE))]
    run(bare, "-c", START, cwd=tmp_path, PYTHONPATH=os.pathsep.join(paths))
    wait_until(lambda: read_accounts(due).delivered == 3)


def test_the_package_is_found_by_relative_entries_of_sys_path(due: Home, bare: str, tmp_path: Path) -> None:
    paths = [os.path.relpath(path, tmp_path) for path in (*ROOTS, LIBRARIES, str(MACHINE))]
    run(bare, "-c", f"import sys; sys.path[:0] = {paths}; {START}", cwd=tmp_path)
    wait_until(lambda: read_accounts(due).delivered == 3)


def test_the_package_is_found_in_the_working_directory(due: Home, bare: str, tmp_path: Path) -> None:
    copy_packages(tmp_path / "app")
    run(bare, "-c", START, cwd=tmp_path / "app")
    wait_until(lambda: read_accounts(due).delivered == 3)


def test_the_package_is_found_in_an_archive(due: Home, bare: str, tmp_path: Path) -> None:
    copy_packages(tmp_path / "app")
    (tmp_path / "app" / "__main__.py").write_text(START)
    zipapp.create_archive(tmp_path / "app", tmp_path / "app.pyz")
    run(bare, "app.pyz", cwd=tmp_path)
    wait_until(lambda: read_accounts(due).delivered == 3)


def copy_packages(folder: Path) -> None:
    """Copy this package and what its uploader imports, in the layout of `pip install --target`."""
    for root in ROOTS:
        shutil.copytree(root, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    needed = ("requests", "urllib3", "idna", "certifi", "charset_normalizer", "filelock", "deepchecks_telemetry-*")
    for name in needed:
        for path in Path(LIBRARIES).glob(name):
            shutil.copytree(path, folder / path.name, dirs_exist_ok=True)


def test_a_spool_in_a_relative_directory_is_uploaded(receiver: "Receiver", tmp_path: Path) -> None:
    record = "from deepchecks_telemetry.spool import record; assert record('run-check')"
    variables = {"DEEPCHECKS_TELEMETRY_DIR": "relative", "DEEPCHECKS_TELEMETRY_ENDPOINT": receiver.endpoint.url}
    run(sys.executable, "-c", record, cwd=tmp_path, **variables)
    home = Home(str(tmp_path / "relative" / "state"), str(tmp_path / "relative" / "config"), "")
    set_due(home, 0)
    run(sys.executable, "-c", START, cwd=tmp_path, **variables)
    wait_until(lambda: read_accounts(home).delivered == 1)


def test_relative_paths_in_the_environment_are_passed_on_as_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    directory = os.getcwd()
    for name in ("DEEPCHECKS_TELEMETRY_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSLKEYLOGFILE"):
        monkeypatch.setenv(name, "some/where")
        assert command.environment()[name] == os.path.join(directory, "some", "where")
        monkeypatch.setenv(name, os.path.join(directory, "absolute"))
        assert command.environment()[name] == os.path.join(directory, "absolute")
        monkeypatch.setenv(name, "")
        assert command.environment()[name] == ""
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join(("certificates", directory)))
    assert command.environment()["SSL_CERT_DIR"] == os.pathsep.join(
        (os.path.join(directory, "certificates"), directory)
    )
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY_DIR", "~/telemetry")
    assert command.environment()["DEEPCHECKS_TELEMETRY_DIR"] == os.path.join(os.path.expanduser("~"), "telemetry")


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps the working directory of a process from being removed")
def test_the_uploader_starts_although_the_working_directory_was_removed(due: Home, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"import os, sys; sys.path.append('relative'); os.rmdir({str(gone)!r}); {START}"
    run(sys.executable, "-c", script, cwd=gone, REQUESTS_CA_BUNDLE="")
    wait_until(lambda: read_accounts(due).delivered == 3)


def test_the_uploader_writes_no_bytecode_if_the_host_writes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "pycache_prefix", os.path.abspath("cache"))
    options = command.command("python", None)[1:5]
    assert options == ["-I", "-B", "-X", f"pycache_prefix={os.path.abspath('cache')}"]
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    assert command.command("python", None)[1:3] == ["-I", "-c"]
