"""The attach file costs nothing if deepchecks is not used, and does nothing after its installation was removed."""

import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from deepchecks_telemetry.hooks.errors import HooksError
from deepchecks_telemetry.hooks.pth import file
from deepchecks_telemetry.hooks.pth.file import FILE_NAME, install_file, installed_file, remove_file, stale_file

Run = Callable[..., subprocess.CompletedProcess[str]]
Counts = dict[str, int]

CHECKOUT = Path(__file__).parents[3]
TELEMETRY = ("-m", "deepchecks_telemetry.cli", "telemetry")

OWN_MODULE = re.compile(r"/deepchecks_telemetry/\w+/(__pycache__/)?[\w-]+(\.[\w-]+)?\.py")
PRINT_MODULES = "import sys; print(sorted(name for name in sys.modules if 'deepchecks' in name))"


def test_the_attach_file_is_written_found_replaced_and_removed(tmp_path: Path) -> None:
    assert installed_file(tmp_path) is None
    path = install_file(tmp_path)
    assert installed_file(tmp_path) == path
    text = path.read_text()
    path.write_text("# an older version\n")
    assert (installed_file(tmp_path), stale_file(tmp_path)) == (None, path)
    assert install_file(tmp_path) == path
    assert (installed_file(tmp_path), stale_file(tmp_path)) == (path, None)
    assert path.read_text() == text
    assert remove_file(tmp_path) == path
    assert remove_file(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_each_line_is_executed_or_skipped_by_site(tmp_path: Path) -> None:
    *comments, code = install_file(tmp_path).read_bytes().decode("ascii").splitlines()
    assert all(line.startswith("# ") for line in comments)
    assert code.startswith("import sys; exec(")


@pytest.mark.parametrize("flags", [(), ("-I",), ("-E",)])
def test_an_interpreter_that_does_not_import_deepchecks_loads_none_of_our_modules(
    run: Run, attached: str, flags: tuple[str, ...]
) -> None:
    assert run(*flags, "-c", PRINT_MODULES, python=attached).stdout == "[]\n"
    print_finders = "import sys; print([finder.__name__ for finder in sys.meta_path if 'Telemetry' in finder.__name__])"
    assert run(*flags, "-c", print_finders, python=attached).stdout == "['DeepchecksTelemetryAttach']\n"


def test_the_attach_file_loads_no_additional_module(run: Run, bare: str, environment: Path) -> None:
    print_all = "import sys; print(sorted(sys.modules))"
    before = run("-c", print_all, python=bare).stdout
    install_file(environment)
    assert run("-c", print_all, python=bare).stdout == before


def test_importtime_of_an_attached_interpreter_shows_none_of_our_modules(run: Run, attached: str) -> None:
    imports = run("-X", "importtime", "-c", "pass", python=attached).stderr
    assert "encodings" in imports
    assert "deepchecks" not in imports


@pytest.mark.skipif(os.name == "nt", reason="strace is for Linux")
def test_an_attached_interpreter_opens_only_the_attach_file_of_our_files(
    run: Run, tool: Callable[[str], str], tmp_path: Path, attached: str
) -> None:
    """strace shows every file that is read or created, every socket and every child."""
    strace = (tool("strace"), "-f", "-qq", "-e", "trace=%file,%network,%process", "-o", "calls")
    run(*strace[1:], attached, "-c", "pass", python=strace[0])
    calls = (tmp_path / "calls").read_text("utf-8", "replace").splitlines()
    opened = [call for call in calls if FILE_NAME in call and (" openat(" in call or " open(" in call)]
    assert len(opened) in {1, 2}, "`site` executes the files of a virtual environment twice on some Pythons"
    assert all("O_RDONLY" in call for call in opened)
    assert [call for call in calls if OWN_MODULE.search(call)] == []
    assert [call for call in calls if "socket(" in call or "fork(" in call or str(tmp_path / "home") in call] == []


def test_the_attach_file_is_harmless_without_our_package(tmp_path: Path, environ: dict[str, str], bare: str) -> None:
    packages = next((tmp_path / "environment").rglob("packages_of_the_tests.pth")).parent
    (packages / "packages_of_the_tests.pth").unlink()
    (packages / "deepchecks.py").write_text("VALUE = 1\n")
    install_file(packages)
    code = f"import deepchecks; print(deepchecks.VALUE)\n{PRINT_MODULES}"
    done = subprocess.run([bare, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("1\n['deepchecks']\n", "")


def test_a_missing_deepchecks_raises_the_usual_error(tmp_path: Path, environ: dict[str, str], bare: str) -> None:
    packages = next((tmp_path / "environment").rglob("packages_of_the_tests.pth")).parent
    (packages / "packages_of_the_tests.pth").unlink()
    install_file(packages)
    code = "import importlib.util\nprint(importlib.util.find_spec('deepchecks'))\nimport deepchecks"
    done = subprocess.run([bare, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=30)
    assert done.stdout == "None\n"
    assert done.stderr.endswith("ModuleNotFoundError: No module named 'deepchecks'\n")


def test_two_writers_use_different_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two containers with the same process id can share the environment."""
    temporary = []

    def fail(path: str, _: str) -> None:
        temporary.append(os.path.basename(path))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    for _ in range(2):
        with pytest.raises(HooksError, match=r"^Cannot write .*: No space left on device\. "):
            install_file(tmp_path)
    assert len(set(temporary)) == 2
    assert [name for name in temporary if name.endswith(".pth")] == []
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def record(environment: Path) -> Path:
    """The RECORD of an installation in the environment; the package itself is that of the test run."""
    path = environment / "deepchecks_telemetry-0.1.0.dist-info" / "RECORD"
    path.parent.mkdir()
    path.write_text("")
    return path


@pytest.mark.parametrize("how", ["reinstalled", "upgraded", "uninstalled"])
def test_after_a_change_of_the_installation_the_file_does_nothing_until_attached_again(
    run: Run, recorded: Callable[[], Counts], bare: str, record: Path, library: str, how: str
) -> None:
    def import_deepchecks() -> Counts:
        assert run("-c", "import deepchecks", python=bare, PYTHONPATH=library).stderr == ""
        return recorded()

    run(*TELEMETRY, "attach", python=bare, PYTHONPATH=library)
    assert import_deepchecks() == {"package-import": 1}
    if how == "uninstalled":
        shutil.rmtree(record.parent)
    elif how == "upgraded":
        record.parent.rename(record.parent.with_name("deepchecks_telemetry-0.2.0.dist-info"))
    else:
        os.utime(record, (0, record.stat().st_mtime + 5))
    assert import_deepchecks() == {"package-import": 1}
    assert '"attached": false' in run(*TELEMETRY, "status", "--json", python=bare).stdout
    doctor = run(*TELEMETRY, "doctor", python=bare, PYTHONPATH=library).stdout
    assert "note   attach file: " in doctor
    assert "To do: deepchecks telemetry attach." in doctor
    run(*TELEMETRY, "attach", python=bare, PYTHONPATH=library)
    assert import_deepchecks() == {"package-import": 2}


def test_a_copy_with_modification_times_in_whole_seconds_stays_attached(
    run: Run, recorded: Callable[[], Counts], bare: str, record: Path, library: str
) -> None:
    """Container images and archives keep modification times like this, in another inode."""
    os.utime(record, (0, 1_700_000_000.75))
    run(*TELEMETRY, "attach", python=bare)
    record.unlink()
    record.write_text("")
    os.utime(record, (0, 1_700_000_000))
    run("-c", "import deepchecks", python=bare, PYTHONPATH=library)
    assert recorded() == {"package-import": 1}


def test_without_an_installation_the_error_names_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(HooksError, match=r"^Cannot attach: no installation .* Install it in this environment"):
        install_file(tmp_path)


@pytest.mark.real
def test_with_pip_the_file_is_inactive_after_each_change_and_harms_nothing(
    run: Run, recorded: Callable[[], Counts], tmp_path: Path, library: str
) -> None:
    """With the real pip and wheel: attach, upgrade, uninstall, install."""
    venv.create(tmp_path / "environment", with_pip=True)
    (packages,) = (tmp_path / "environment").glob("lib/python*/site-packages")
    needed = [path for path in sys.path if (Path(path) / "click").is_dir()]
    (packages / "packages_of_the_tests.pth").write_text("\n".join(needed))
    python = str(tmp_path / "environment" / "bin" / "python")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True, timeout=100)
    wheel = str(next(tmp_path.glob("*.whl")))

    def pip(*arguments: str) -> None:
        run("-m", "pip", *arguments, "--disable-pip-version-check", python=python)

    def import_deepchecks() -> Counts:
        done = run("-c", "import deepchecks", python=python, PYTHONPATH=library)
        assert (done.stdout, done.stderr) == ("", "")
        return recorded()

    install = ("install", "--no-index", "--no-deps", "--force-reinstall", wheel)
    pip(*install)
    run(*TELEMETRY, "attach", python=python)
    assert import_deepchecks() == {"package-import": 1}
    record = next(packages.glob("deepchecks_telemetry-*.dist-info/RECORD"))
    os.utime(record, (0, record.stat().st_mtime - 60))  # as if it had been installed a minute ago
    run(*TELEMETRY, "attach", python=python)
    assert import_deepchecks() == {"package-import": 2}
    for step in (install, ("uninstall", "-y", "deepchecks-telemetry"), install):
        pip(*step)
        assert (packages / FILE_NAME).is_file()
        assert import_deepchecks() == {"package-import": 2}
    run(*TELEMETRY, "attach", python=python)
    assert import_deepchecks() == {"package-import": 3}


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_read_only_site_packages_is_reported_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = install_file(tmp_path)
    # Root may write anywhere, so another user tries; that user may not be able to read the checkout.
    monkeypatch.setattr(file, "_installation", lambda: file.Installation("RECORD", 0))
    monkeypatch.setattr(file, "file_text", lambda _: "# no code")
    tmp_path.chmod(0o555)
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


def test_a_missing_site_packages_is_reported(tmp_path: Path) -> None:
    with pytest.raises(HooksError, match=r"^Cannot write .*missing.*: No such file or directory\. "):
        install_file(tmp_path / "missing")
