"""The host never reaps the uploader; in real PID namespaces and under a real subreaper."""

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.spool.stored import stored
from tests.uploader.programs import PATIENCE_S

from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.uploader.child import reaper

if TYPE_CHECKING:
    from collections.abc import Callable


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has PID namespaces and subreapers")
PROGRAM = """
import os, sys
def children():
    "The child that os.wait() would return in this process."
    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
from deepchecks_telemetry.uploader.background import upload_if_due, why_no_uploader
{first}
upload_if_due()
print(children(), why_no_uploader())
"""
SUBREAPER = "import ctypes; assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0"
MASTER = """
import os, subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
reaped = []
while not reaped or reaped[-1] != worker.pid:
    reaped.append(os.wait()[0])
print(reaped == [worker.pid], sorted(filter(str.isdigit, os.listdir("/proc"))))
"""


@pytest.fixture
def container(tool: "Callable[[str], str]") -> list[str]:
    """A command that runs its operand as process 1 of a PID namespace with its own /proc."""
    unshare = [tool("unshare"), "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run([*unshare, "true"], capture_output=True, timeout=PATIENCE_S).returncode:
        pytest.skip("PID namespaces cannot be created on this machine")
    return unshare


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_host_that_is_process_1_starts_nothing_and_leaves_the_upload_to_another_process(
    due: Home, container: list[str]
) -> None:
    output = run(*container, sys.executable, "-c", PROGRAM.format(first=""))
    assert output == "None this program is process 1 of its container and would have to reap the uploader\n"
    assert stored(due).next_upload == 1


def test_a_worker_of_an_application_that_is_process_1_starts_nothing(due: Home, container: list[str]) -> None:
    output = run(*container, sys.executable, "-c", MASTER, PROGRAM.format(first=""))
    worker, master = output.splitlines()
    assert worker.startswith("None process 1 of this container (python")
    assert master == "True ['1']"
    assert stored(due).next_upload == 1


def test_in_a_container_with_an_init_the_upload_is_made_and_no_process_remains(
    due: Home, container: list[str], tmp_path: Path
) -> None:
    """Process 1 is a shell, which reaps, and ends at the end of its standard input."""
    script = '"$@" >"$0"; read -r line; ls -d /proc/[0-9]*'
    command = [*container, "sh", "-c", script, str(tmp_path / "output"), sys.executable, "-c", PROGRAM.format(first="")]
    shell = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + PATIENCE_S
    while read_accounts(due).delivered != 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    shell.communicate("done\n", timeout=PATIENCE_S)
    assert (tmp_path / "output").read_text() == "None None\n"


def test_a_subreaper_starts_nothing(due: Home) -> None:
    output = run(sys.executable, "-c", PROGRAM.format(first=SUBREAPER))
    assert output.startswith("None this program adopts orphaned processes")
    assert stored(due).next_upload == 1


@pytest.mark.usefixtures("startable")
def test_an_ordinary_host_has_no_child_after_the_start(due: Home) -> None:
    assert run(sys.executable, "-c", PROGRAM.format(first="")) == "None None\n"
    assert (stored(due).next_upload or 0) > time.time()


def test_without_ctypes_a_host_is_not_treated_as_a_subreaper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctypes", None)
    assert not reaper.is_subreaper()


@pytest.mark.parametrize("name", ["systemd", "init", "init(Ubuntu)", "tini", "bash", "sh", "(sd-stubinit)"])
def test_an_init_or_a_shell_reaps(name: str) -> None:
    assert reaper.is_reaper(name)


@pytest.mark.parametrize("name", ["python", "python3.11", "jupyter-lab", "node", "java", "sleep", "tail", ""])
def test_an_application_is_not_trusted_to_reap(name: str) -> None:
    assert not reaper.is_reaper(name)
