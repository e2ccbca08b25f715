"""The opt-in file: lean where deepchecks is not used, harmless where we are gone, clear where it cannot be written."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deepchecks_telemetry.hooks import HooksError, install_file, installed_file, remove_file
from deepchecks_telemetry.hooks.pth.file import FILE_NAME

Run = Callable[..., subprocess.CompletedProcess[str]]

MODULE_OF_OURS = re.compile(r"/deepchecks_telemetry/\w+/(__pycache__/)?[\w-]+(\.[\w-]+)?\.py")
OURS = "import sys; print(sorted(name for name in sys.modules if 'deepchecks' in name))"


def test_it_is_written_shown_replaced_and_removed(tmp_path: Path) -> None:
    assert installed_file(tmp_path) is None
    path = install_file(tmp_path)
    assert installed_file(tmp_path) == path
    whole = path.read_text()
    path.write_text("# an older version\n")
    assert install_file(tmp_path) == path
    assert path.read_text() == whole
    assert remove_file(tmp_path) == path
    assert remove_file(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_each_line_is_one_that_site_executes_or_skips(tmp_path: Path) -> None:
    *comments, code = install_file(tmp_path).read_bytes().decode("ascii").splitlines()
    assert all(line.startswith("# ") for line in comments)
    assert code.startswith("import sys; exec(")


@pytest.mark.parametrize("flags", [(), ("-I",), ("-E",)])
def test_an_interpreter_that_does_not_import_deepchecks_loads_nothing_of_ours(
    run: Run, opted_in: str, flags: tuple[str, ...]
) -> None:
    assert run(*flags, "-c", OURS, python=opted_in).stdout == "[]\n"
    waiting = "import sys; print([finder.__name__ for finder in sys.meta_path if 'Telemetry' in finder.__name__])"
    assert run(*flags, "-c", waiting, python=opted_in).stdout == "['DeepchecksTelemetryAttach']\n"


def test_it_loads_no_module_that_a_bare_interpreter_does_not(run: Run, bare: str, environment: Path) -> None:
    loaded = "import sys; print(sorted(sys.modules))"
    without = run("-c", loaded, python=bare).stdout
    install_file(environment)
    assert run("-c", loaded, python=bare).stdout == without


def test_the_import_clock_of_a_bare_interpreter_shows_nothing_of_ours(run: Run, opted_in: str) -> None:
    timed = run("-X", "importtime", "-c", "pass", python=opted_in).stderr
    assert "encodings" in timed
    assert "deepchecks" not in timed


def test_a_bare_interpreter_opens_no_file_of_ours_but_the_one(
    run: Run, tool: Callable[[str], str], tmp_path: Path, opted_in: str
) -> None:
    """By the system's own account: every file that is looked at, opened or made, every socket, every child."""
    strace = (tool("strace"), "-f", "-qq", "-e", "trace=%file,%network,%process", "-o", "calls")
    run(*strace[1:], opted_in, "-c", "pass", python=strace[0])
    calls = (tmp_path / "calls").read_text("utf-8", "replace").splitlines()
    opened = [call for call in calls if FILE_NAME in call and (" openat(" in call or " open(" in call)]
    assert len(opened) in {1, 2}, "`site` executes the files of a virtual environment twice on some Pythons"
    assert all("O_RDONLY" in call for call in opened)
    assert [call for call in calls if MODULE_OF_OURS.search(call)] == []
    assert [call for call in calls if "socket(" in call or "fork(" in call or str(tmp_path / "home") in call] == []


def test_it_is_harmless_where_our_package_is_gone(tmp_path: Path, environ: dict[str, str], bare: str) -> None:
    packages = next((tmp_path / "environment").rglob("what_the_tests_see.pth")).parent
    (packages / "what_the_tests_see.pth").unlink()
    (packages / "deepchecks.py").write_text("VALUE = 1\n")
    install_file(packages)
    code = f"import deepchecks; print(deepchecks.VALUE)\n{OURS}"
    done = subprocess.run([bare, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("1\n['deepchecks']\n", "")


def test_a_look_up_of_a_missing_deepchecks_says_what_it_always_said(
    tmp_path: Path, environ: dict[str, str], bare: str
) -> None:
    packages = next((tmp_path / "environment").rglob("what_the_tests_see.pth")).parent
    (packages / "what_the_tests_see.pth").unlink()
    install_file(packages)
    code = "import importlib.util\nprint(importlib.util.find_spec('deepchecks'))\nimport deepchecks"
    done = subprocess.run([bare, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=30)
    assert done.stdout == "None\n"
    assert done.stderr.endswith("ModuleNotFoundError: No module named 'deepchecks'\n")


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_site_packages_that_is_not_writable_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = install_file(tmp_path)
    tmp_path.chmod(0o555)
    # Root may write anywhere, so the attempt is somebody else's.
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        for attempt, verb in ((install_file, "write"), (remove_file, "remove")):
            with pytest.raises(
                HooksError, match=rf"^Cannot {verb} .*: Permission denied\. Run this again as"
            ) as raised:
                attempt(tmp_path)
            assert str(path) in str(raised.value)
    finally:
        os.seteuid(user)
        tmp_path.chmod(0o755)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_folder_that_is_not_there_is_named_too(tmp_path: Path) -> None:
    with pytest.raises(HooksError, match=r"^Cannot write .*missing.*: No such file or directory\. "):
        install_file(tmp_path / "missing")
