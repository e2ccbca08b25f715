"""Removes each defence, one at a time, and checks that the named test fails, so that no test passes without it.

The tables in defences/*.toml have for each defence a file, text that occurs exactly once in it, the replacement, and
the test. A run removes the first of each table; `pytest tests/campaigns/test_defences.py --long` removes all, in half
an hour.
"""

import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

tomllib = pytest.importorskip("tomllib", reason="tomllib came with Python 3.11")
TESTS = Path(__file__).parents[1]
TABLES = sorted((Path(__file__).parent / "defences").glob("*.toml"))


class Defence(NamedTuple):
    """Text that occurs exactly once in a file, its replacement, and the test that must then fail."""

    file: str
    old: str
    new: str
    test: str


def read_defences(table: Path) -> dict[str, Defence]:
    """The defences of one table by their names."""
    return {name: Defence(**entry) for name, entry in tomllib.loads(table.read_text("utf-8")).items()}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Select the first defence of each table, or all."""
    if "defence" in metafunc.fixturenames:
        limit = None if metafunc.config.getoption("--long", False) else 1
        chosen = {
            f"{table.stem}: {name}": defence
            for table in TABLES
            for name, defence in list(read_defences(table).items())[:limit]
        }
        metafunc.parametrize("defence", chosen.values(), ids=chosen.keys())


def test_without_a_defence_its_test_fails(defence: Defence, tmp_path: Path) -> None:
    package = copy_packages(tmp_path / "sources")
    path = package.joinpath(*Path(defence.file).parts[2:])
    text = path.read_text("utf-8")
    assert text.count(defence.old) == 1, f"{defence.file} has changed: update the text of this defence"
    path.write_text(text.replace(defence.old, defence.new), "utf-8")
    done = run_test(defence.test, tmp_path)
    if done.returncode == 0 and " skipped" in done.stdout and " passed" not in done.stdout:
        pytest.skip("its test is skipped on this machine")
    assert (done.returncode, str(package) in done.stdout) == (1, True), done.stdout + done.stderr


def test_with_all_defences_a_test_passes_on_a_copy(tmp_path: Path) -> None:
    copy_packages(tmp_path / "sources")
    done = run_test(next(iter(read_defences(TABLES[0]).values())).test, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.stem)
def test_every_defence_and_its_test_exist(table: Path) -> None:
    for name, defence in read_defences(table).items():
        path, _, test = defence.test.partition("::")
        source = (TESTS.parent / defence.file).read_text("utf-8")
        assert source.count(defence.old) == 1, (name, defence.file)
        assert defence.old != defence.new, name
        assert test.partition("[")[0] in (TESTS.parent / path).read_text("utf-8"), (name, defence.test)


def copy_packages(folder: Path) -> Path:
    """Copy all packages into one source root, which precedes the real ones in PYTHONPATH."""
    package = folder / "deepchecks_telemetry"
    for namespace in import_module("deepchecks_telemetry").__path__:
        shutil.copytree(namespace, package, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def run_test(test: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one test with the copy, whose path is printed first."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    print_path = (
        "import deepchecks_telemetry.spool, pytest, sys; print(deepchecks_telemetry.spool.__file__, flush=True)"
    )
    options = ["-q", "-x", "-p", "no:cacheprovider", f"--basetemp={folder / 'temporary'}", "--tb=short"]
    return subprocess.run(
        [sys.executable, "-c", f"{print_path}; sys.exit(pytest.main(sys.argv[1:]))", *options, test],
        cwd=TESTS.parent,
        env=environ | {"PYTHONPATH": str(folder / "sources"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
