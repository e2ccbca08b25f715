"""The attach file: it costs nothing where deepchecks is not used, and does nothing after its installation is gone."""

import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from deepchecks_telemetry.hooks import HooksError, install_file, installed_file, remove_file, stale_file
from deepchecks_telemetry.hooks.pth import file
from deepchecks_telemetry.hooks.pth.file import FILE_NAME

Run = Callable[..., subprocess.CompletedProcess[str]]
Counts = dict[str, int]

CHECKOUT = Path(__file__).parents[3]
TELEMETRY = ("-m", "deepchecks_telemetry.cli", "telemetry")

MODULE_OF_OURS = re.compile(r"/deepchecks_telemetry/\w+/(__pycache__/)?[\w-]+(\.[\w-]+)?\.py")
OURS = "import sys; print(sorted(name for name in sys.modules if 'deepchecks' in name))"


def test_it_is_written_shown_replaced_and_removed(tmp_path: Path) -> None:
    assert installed_file(tmp_path) is None
    path = install_file(tmp_path)
    assert installed_file(tmp_path) == path
    whole = path.read_text()
    path.write_text("# an older version\n")
    assert (installed_file(tmp_path), stale_file(tmp_path)) == (None, path)
    assert install_file(tmp_path) == path
    assert (installed_file(tmp_path), stale_file(tmp_path)) == (path, None)
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
    run: Run, attached: str, flags: tuple[str, ...]
) -> None:
    assert run(*flags, "-c", OURS, python=attached).stdout == "[]\n"
    waiting = "import sys; print([finder.__name__ for finder in sys.meta_path if 'Telemetry' in finder.__name__])"
    assert run(*flags, "-c", waiting, python=attached).stdout == "['DeepchecksTelemetryAttach']\n"


def test_it_loads_no_module_that_a_bare_interpreter_does_not(run: Run, bare: str, environment: Path) -> None:
    loaded = "import sys; print(sorted(sys.modules))"
    without = run("-c", loaded, python=bare).stdout
    install_file(environment)
    assert run("-c", loaded, python=bare).stdout == without


def test_the_import_clock_of_a_bare_interpreter_shows_nothing_of_ours(run: Run, attached: str) -> None:
    timed = run("-X", "importtime", "-c", "pass", python=attached).stderr
    assert "encodings" in timed
    assert "deepchecks" not in timed


def test_a_bare_interpreter_opens_no_file_of_ours_but_the_one(
    run: Run, tool: Callable[[str], str], tmp_path: Path, attached: str
) -> None:
    """By the system's own account: every file that is looked at, opened or made, every socket, every child."""
    strace = (tool("strace"), "-f", "-qq", "-e", "trace=%file,%network,%process", "-o", "calls")
    run(*strace[1:], attached, "-c", "pass", python=strace[0])
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


def test_two_writers_share_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two containers with the same process id can share the environment."""
    drafts = []

    def fail(draft: str, _: str) -> None:
        drafts.append(os.path.basename(draft))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    for _ in range(2):
        with pytest.raises(HooksError, match=r"^Cannot write .*: No space left on device\. "):
            install_file(tmp_path)
    assert len(set(drafts)) == 2
    assert [name for name in drafts if name.endswith(".pth")] == []
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def record(environment: Path) -> Path:
    """The RECORD of an installation in the environment itself; its package is the one that the tests see."""
    path = environment / "deepchecks_telemetry-0.1.0.dist-info" / "RECORD"
    path.parent.mkdir()
    path.write_text("")
    return path


@pytest.mark.parametrize("how", ["installed again", "upgraded", "uninstalled"])
def test_after_a_change_of_the_installation_it_does_nothing_until_attached_again(
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


def test_a_copy_that_keeps_whole_seconds_only_stays_attached(
    run: Run, recorded: Callable[[], Counts], bare: str, record: Path, library: str
) -> None:
    """As layers of a container image and archives keep a modification time, in another inode."""
    os.utime(record, (0, 1_700_000_000.75))
    run(*TELEMETRY, "attach", python=bare)
    record.unlink()
    record.write_text("")
    os.utime(record, (0, 1_700_000_000))
    run("-c", "import deepchecks", python=bare, PYTHONPATH=library)
    assert recorded() == {"package-import": 1}


def test_without_an_installation_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(HooksError, match=r"^Cannot attach: no installation .* Install it in this environment"):
        install_file(tmp_path)


@pytest.mark.real
def test_with_pip_it_survives_nothing_and_harms_nothing(
    run: Run, recorded: Callable[[], Counts], tmp_path: Path, library: str
) -> None:
    """The real pip and wheel: attach, upgrade, uninstall, install."""
    venv.create(tmp_path / "environment", with_pip=True)
    (packages,) = (tmp_path / "environment").glob("lib/python*/site-packages")
    needed = [path for path in sys.path if (Path(path) / "click").is_dir()]
    (packages / "what_the_tests_see.pth").write_text("\n".join(needed))
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
    os.utime(record, (0, record.stat().st_mtime - 60))  # as if that had been a minute ago
    run(*TELEMETRY, "attach", python=python)
    assert import_deepchecks() == {"package-import": 2}
    for step in (install, ("uninstall", "-y", "deepchecks-telemetry"), install):
        pip(*step)
        assert (packages / FILE_NAME).is_file()
        assert import_deepchecks() == {"package-import": 2}
    run(*TELEMETRY, "attach", python=python)
    assert import_deepchecks() == {"package-import": 3}


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_site_packages_that_is_not_writable_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = install_file(tmp_path)
    # Root may write anywhere, so the attempt is another user's, who may not be able to read the checkout.
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


def test_a_folder_that_is_not_there_is_named_too(tmp_path: Path) -> None:
    with pytest.raises(HooksError, match=r"^Cannot write .*missing.*: No such file or directory\. "):
        install_file(tmp_path / "missing")
