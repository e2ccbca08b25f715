"""Only programs whose executable is a Python interpreter can start the uploader."""

import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from tests.uploader.programs import HOST, PATIENCE_S, Children, host, set_due

from deepchecks_telemetry.uploader.child.interpreter import find_interpreter, is_interpreter, why_no_interpreter
from deepchecks_telemetry.uploader.endpoint import configure

if TYPE_CHECKING:
    from tests.uploader.conftest import Receiver

    from deepchecks_telemetry.spool.files.paths import Home

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="paths of POSIX")


@pytest.mark.parametrize(
    "name",
    [
        *("python", "python3", "python3.10", "python3.13t", "python3.13d", "pypy3", "pypy3.10", "Python"),
        *("python.exe", "pythonw.exe", "PYTHON.EXE", "python3.11.exe"),
    ],
)
def test_an_interpreter_is_recognised_by_its_exact_name(name: str) -> None:
    assert is_interpreter(f"/usr/bin/{name}")


@pytest.mark.parametrize(
    "name",
    [
        *("python-app", "pythonic", "python3-report", "pythont", "python3.11-config", "python.app", "pypy-tool.exe"),
        *("uwsgi", "httpd", "blender", "ipython", "my python", "exe", ""),
    ],
)
def test_a_program_with_another_name_is_not_an_interpreter(name: str) -> None:
    assert not is_interpreter(f"/usr/bin/{name}")


def test_a_program_that_embeds_python_in_a_virtual_environment_uses_the_base_interpreter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/usr/sbin/uwsgi")
    monkeypatch.setattr(sys, "_base_executable", "/usr/bin/python3.11")
    assert (find_interpreter(), why_no_interpreter()) == ("/usr/bin/python3.11", None)


@pytest.mark.parametrize("name", ["/opt/blender/blender", "python3", "", None])
def test_without_a_known_interpreter_the_reason_names_the_executable(
    name: "str | None", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", name)
    monkeypatch.delattr(sys, "_base_executable")
    assert find_interpreter() is None
    reason = why_no_interpreter()
    assert reason is not None
    assert ((name or "unknown").rpartition("/")[2] in reason, "/opt" in reason) == (True, False)


@pytest.mark.parametrize("tool", ["PyInstaller", "Nuitka"])
def test_a_frozen_program_with_the_name_of_an_interpreter_starts_nothing(
    tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if tool == "Nuitka":
        main = ModuleType("__main__")
        main.__dict__["__compiled__"] = ("a version",)
        monkeypatch.setitem(sys.modules, "__main__", main)
    else:
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/opt/app/python3")
    assert find_interpreter() is None
    assert "frozen" in (why_no_interpreter() or "")


@pytest.mark.parametrize("mark", ["sys.frozen = True", "sys.modules['__main__'].__compiled__ = 1"])
def test_a_frozen_host_does_not_start_itself_again(
    spool: "Home", receiver: "Receiver", children: Children, mark: str
) -> None:
    configure(spool, receiver.endpoint.url)
    set_due(spool, 0)
    program = host(f"import sys; {mark}\n{HOST}", "", str(children.python))
    assert program.communicate(timeout=PATIENCE_S) == ("", "")
    assert not children.more()
    assert children.working_directories() == []
