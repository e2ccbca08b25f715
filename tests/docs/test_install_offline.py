"""Runs the commands of docs/install-offline.md: a download from the package index, and an install without a network.

Only in `nox -s offline`, because the first step needs the package index; all other tests stay on loopback.
"""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "install-offline.md").read_text("utf-8")
BLOCKS = dict(re.findall(r"<!-- on: (\w+) -->\n```sh\n(.*?)```", PAGE, re.DOTALL))
OPTIONS = "--python-version 3.11 --implementation cp --platform manylinux2014_x86_64"
IS_NAMED = (sys.platform, platform.machine(), sys.version_info[:2]) == ("linux", "x86_64", (3, 11))
needs_index = pytest.mark.skipif("INDEX" not in os.environ, reason="downloads packages: run by `nox -s offline`")
pytestmark = [
    pytest.mark.skipif(not IS_NAMED, reason="the page's commands are for Python 3.11 on Linux, x86-64"),
    pytest.mark.timeout(600),
]

Done = subprocess.CompletedProcess[str]


class Machine:
    """A machine of the page: a fresh virtual environment, a home directory, and a prefix that takes the network."""

    def __init__(self, folder: Path, wheelhouse: Path, *prefix: str) -> None:
        self.prefix, self.folder = prefix, folder
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True, timeout=120)
        self.environ = {name: value for name, value in os.environ.items() if name != "DEEPCHECKS_TELEMETRY"}
        self.environ |= {"PATH": f"{folder / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        self.environ |= {"WHEELHOUSE": str(wheelhouse), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    def run(self, script: str, cwd: Path = CHECKOUT) -> Done:
        command = [*self.prefix, "/bin/sh", "-eu", "-c", script]
        return subprocess.run(command, env=self.environ, cwd=cwd, capture_output=True, text=True, timeout=300)


@pytest.fixture
def no_network(tool: Callable[[str], str]) -> list[str]:
    """The prefix that runs a command in a network namespace without a network."""
    prefix = [tool("unshare"), "--map-root-user", "--net"]
    done = subprocess.run([*prefix, "cat", "/proc/net/dev"], capture_output=True, text=True, timeout=30)
    if done.returncode:
        pytest.skip(f"network namespaces cannot be created on this machine: {done.stderr.strip()}")
    devices = [line.split(":")[0].strip() for line in done.stdout.splitlines() if ":" in line]
    assert devices == ["lo"]
    return prefix


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of the page's first step, run once in the checkout."""
    folder = tmp_path_factory.mktemp("connected")
    done = Machine(folder, folder / "wheelhouse").run(BLOCKS["connected"])
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "wheelhouse"


def test_the_two_steps_and_their_options_are_found_in_the_page() -> None:
    assert set(BLOCKS) == {"connected", "isolated", "updated"}
    assert OPTIONS in BLOCKS["connected"]


@needs_index
def test_the_package_is_installed_without_a_network(wheelhouse: Path, no_network: list[str], tmp_path: Path) -> None:
    isolated = Machine(tmp_path / "isolated", wheelhouse, *no_network)
    isolated.environ |= {"PIP_CONFIG_FILE": os.devnull}  # this machine's may name a directory of wheels
    done = isolated.run(BLOCKS["isolated"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No broken requirements found." in done.stdout
    assert "Nothing is sent: no endpoint is set." in done.stdout
    program = "import deepchecks_telemetry.spool as s; print(s.__file__, s.record('run-check'))"
    recorded = isolated.run(f'python -I -c "{program}"; deepchecks telemetry inspect', tmp_path).stdout
    assert recorded.startswith(str(tmp_path / "isolated" / "venv"))
    assert " True\n" in recorded
    assert re.search(r"run-check +1 ", recorded)
    _check_update(isolated, tmp_path)


def _check_update(isolated: Machine, cwd: Path) -> None:
    """An installed file is changed, as if the wheel were a newer one of the same version."""
    find = 'python -I -c "import deepchecks_telemetry.spool as s; print(s.__file__)"'
    file = Path(isolated.run(find, cwd).stdout.strip())
    content = file.read_bytes()
    file.write_bytes(content + b"# old\n")
    done = isolated.run(BLOCKS["updated"], cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    assert file.read_bytes() == content
    status = isolated.run("deepchecks telemetry status", cwd).stdout
    assert re.search(r"recorded +1 event\n", status)
    assert re.search(r"environment +attached\n", status)


@needs_index
def test_without_the_wheelhouse_there_is_nothing_to_install_from(no_network: list[str], tmp_path: Path) -> None:
    """Without this, the test above could pass in a namespace that reaches an index."""
    done = Machine(tmp_path / "isolated", tmp_path, *no_network).run("python -m pip install --retries 0 tabulate")
    assert (done.returncode, "No matching distribution found for tabulate" in done.stderr) == (1, True), done.stderr


@needs_index
def test_a_changed_wheel_is_refused_by_both_checks(wheelhouse: Path, no_network: list[str], tmp_path: Path) -> None:
    copy = tmp_path / "wheelhouse"
    copy.mkdir()
    for file in wheelhouse.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (wheel,) = copy.glob("tabulate-*.whl")
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    isolated = Machine(tmp_path / "isolated", copy, *no_network)
    checked, installed = (line for line in BLOCKS["isolated"].splitlines() if "SHA256SUMS" in line or "hashes" in line)
    done = isolated.run(checked, copy)
    assert (done.returncode, done.stdout) == (1, f"{wheel.name}: FAILED\n")
    done = isolated.run(installed, copy)
    assert (done.returncode, "DO NOT MATCH THE HASHES" in done.stderr) == (1, True), done.stderr


@needs_index
@pytest.mark.parametrize(
    ("version", "name"),
    [("3.12", "manylinux2014_aarch64"), ("3.13", "macosx_11_0_arm64"), ("3.14", "manylinux2014_x86_64")],
)
def test_wheels_exist_for_the_other_platforms_of_the_page(version: str, name: str, tmp_path: Path) -> None:
    assert f"`{name}`" in PAGE
    options = OPTIONS.replace("3.11", version).replace("manylinux2014_x86_64", name)
    done = Machine(tmp_path / "connected", tmp_path / "out").run(BLOCKS["connected"].replace(OPTIONS, options))
    assert done.returncode == 0, done.stdout + done.stderr
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert any(file.startswith("charset_normalizer-") and version.replace("3.", "cp3") in file for file in names)
