"""Each defence is taken away, one at a time, and the test that is named with it fails: no test is there for show.

They stand in defences/*.toml: a file, text that stands in it exactly once, what replaces it, and the test. The first of
each table in every run; all of them, in half an hour, with `pytest tests/campaigns/test_defences.py --long`.
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
    """Text that stands exactly once in a file, what replaces it, and the test that must fail then."""

    file: str
    old: str
    new: str
    test: str


def read_defences(table: Path) -> dict[str, Defence]:
    """The defences of one table by their names."""
    return {name: Defence(**entry) for name, entry in tomllib.loads(table.read_text("utf-8")).items()}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Take the first of each table, or all."""
    if "defence" in metafunc.fixturenames:
        most = None if metafunc.config.getoption("--long", False) else 1
        chosen = {
            f"{table.stem}: {name}": defence
            for table in TABLES
            for name, defence in list(read_defences(table).items())[:most]
        }
        metafunc.parametrize("defence", chosen.values(), ids=chosen.keys())


def test_without_a_defence_its_test_fails(defence: Defence, tmp_path: Path) -> None:
    package = copy_rooms(tmp_path / "rooms")
    path = package.joinpath(*Path(defence.file).parts[2:])
    text = path.read_text("utf-8")
    assert text.count(defence.old) == 1, f"{defence.file} has changed: give this defence a new place"
    path.write_text(text.replace(defence.old, defence.new), "utf-8")
    told = run_test(defence.test, tmp_path)
    if told.returncode == 0 and " skipped" in told.stdout and " passed" not in told.stdout:
        pytest.skip("its test is skipped here")
    assert (told.returncode, str(package) in told.stdout) == (1, True), told.stdout + told.stderr


def test_with_all_defences_a_test_passes_on_a_copy(tmp_path: Path) -> None:
    copy_rooms(tmp_path / "rooms")
    told = run_test(next(iter(read_defences(TABLES[0]).values())).test, tmp_path)
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.stem)
def test_every_defence_stands_where_its_table_says_and_every_test_exists(table: Path) -> None:
    for name, defence in read_defences(table).items():
        path, _, test = defence.test.partition("::")
        source = (TESTS.parent / defence.file).read_text("utf-8")
        assert source.count(defence.old) == 1, (name, defence.file)
        assert defence.old != defence.new, name
        assert test.partition("[")[0] in (TESTS.parent / path).read_text("utf-8"), (name, defence.test)


def copy_rooms(folder: Path) -> Path:
    """Copy all rooms into one source root, which PYTHONPATH puts before the real ones."""
    package = folder / "deepchecks_telemetry"
    for namespace in import_module("deepchecks_telemetry").__path__:
        shutil.copytree(namespace, package, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def run_test(test: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one test against the copy, which is named first in what is printed."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    where = "import deepchecks_telemetry.spool, pytest, sys; print(deepchecks_telemetry.spool.__file__, flush=True)"
    options = ["-q", "-x", "-p", "no:cacheprovider", f"--basetemp={folder / 'temporary'}", "--tb=short"]
    return subprocess.run(
        [sys.executable, "-c", f"{where}; sys.exit(pytest.main(sys.argv[1:]))", *options, test],
        cwd=TESTS.parent,
        env=ours | {"PYTHONPATH": str(folder / "rooms"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
