"""If a module that we import is broken or missing, the host continues without us, and without output.

`sitecustomize`, a plugin or a file in the working directory can replace any library that we use; some Pythons are
built without `_sqlite3`.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.stats import read_accounts

BREAKS = {
    "raises": "raise RuntimeError('broken on purpose')",
    "is missing": "raise ModuleNotFoundError('No module named this')",
    "is empty": "",
    "prints": "import sys; print('noise', file=sys.stderr); raise OSError(5, 'no such device')",
}
# Like the maintainers' line, with the test's own deepchecks.
HOST = """
from deepchecks_telemetry.hooks import attach
attach(endpoint="http://127.0.0.1:9")
import deepchecks
from deepchecks.tabular.base_checks import SingleDatasetCheck
assert SingleDatasetCheck().run() == "a result"
print("the host goes on")
"""
Host = Callable[[str, str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Run a program with the test's own deepchecks, and a broken module that sitecustomize puts first in the path."""
    site = tmp_path / "site"
    (site / "deepchecks" / "tabular").mkdir(parents=True)
    for package in ("deepchecks", "deepchecks/tabular"):
        (site / package / "__init__.py").touch()
    check = "class SingleDatasetCheck:\n    def run(self):\n        return 'a result'\n"
    (site / "deepchecks" / "tabular" / "base_checks.py").write_text(check)

    def run(module: str, text: str) -> "subprocess.CompletedProcess[str]":
        (site / f"{module}.py").write_text(text)
        (site / "program.py").write_text(f"import sys; sys.path.insert(0, {str(site)!r})\n{HOST}")
        return subprocess.run([sys.executable, site / "program.py"], capture_output=True, text=True, timeout=60)

    return run


def recorded() -> int:
    return read_accounts(find_home()).recorded


@pytest.mark.parametrize("module", ["unbroken", "filelock"])  # filelock is not imported in a host
def test_with_nothing_broken_the_host_records(module: str, host: Host) -> None:
    done = host(module, BREAKS["raises"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "the host goes on\n", "")
    assert recorded() == 2


@pytest.mark.parametrize(("module", "how"), [*(("sqlite3", how) for how in BREAKS), ("_sqlite3", "is missing")])
def test_the_host_continues_with_a_broken_installation(module: str, how: str, host: Host) -> None:
    done = host(module, BREAKS[how])
    assert (done.returncode, done.stdout) == (0, "the host goes on\n"), done.stderr
    assert done.stderr.replace("noise\n", "") == ""
    assert recorded() == 0
