"""The checkout as a whole: its layout, its two commands, and the isolation of its tests."""

import ast
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
PACKAGES = ["spool", "uploader", "hooks", "collector", "cli"]
INITS = [path for package in PACKAGES for path in sorted((CHECKOUT / package).rglob("__init__.py"))]
SOURCES = [path for folder in [*PACKAGES, "tests", "benchmarks"] for path in sorted((CHECKOUT / folder).rglob("*.py"))]
COMMANDS = ['python -m pip install ".[collector]" && deepchecks telemetry tour', "python -m pip install nox && nox"]
OTHER_MACHINE = ("192.0.2.1", 9)  # TEST-NET-1, which belongs to nobody


def test_the_namespace_has_no_init_anywhere() -> None:
    assert list(CHECKOUT.glob("*/deepchecks_telemetry/__init__.py")) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_has_its_own_source_root_and_is_typed(package: str) -> None:
    namespace = CHECKOUT / package / "deepchecks_telemetry"
    inside = [path for path in namespace.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.relative_to(namespace).parts[0] for path in inside} == {package}
    assert (namespace / package / "py.typed").is_file()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_each_module_has_a_docstring(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


@pytest.mark.parametrize("path", INITS, ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_the_docstring_of_a_package_lists_its_modules(path: Path) -> None:
    listed = re.findall(r"^(\w+/?)  +\S", ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "", re.MULTILINE)
    modules = [module.stem for module in path.parent.glob("*.py") if module != path]
    assert sorted(listed) == sorted([*modules, *(f"{init.parent.name}/" for init in path.parent.glob("*/__init__.py"))])


def test_the_readme_starts_with_the_two_commands() -> None:
    readme = (CHECKOUT / "README.md").read_text("utf-8")
    fenced = [line for block in readme.split("```")[1::2] for line in block.splitlines()[1:]]
    assert [line for line in fenced if line.startswith("python -m pip install")] == COMMANDS
    assert set(COMMANDS) <= set(readme.splitlines()[:40])


def test_importing_record_imports_nothing_heavy() -> None:
    script = "import sys; from deepchecks_telemetry.spool import record; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    heavy = {"requests", "urllib3", "click", "sqlite_utils", "filelock", "pandas", "socket", "ssl", "json"}
    assert heavy & set(done.stdout.split()) == set()


@pytest.mark.parametrize(
    "connect",
    [
        lambda: socket.create_connection(OTHER_MACHINE, timeout=1),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).connect(OTHER_MACHINE),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).connect_ex(OTHER_MACHINE),
        lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM).connect(("2001:db8::1", 9, 0, 0)),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", OTHER_MACHINE),
        lambda: socket.getaddrinfo("example.org", 443),
        lambda: socket.gethostbyname("localhost.example.org"),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_no_test_reaches_another_machine(connect: Callable[[], object], request: pytest.FixtureRequest) -> None:
    loopback = request.getfixturevalue("loopback")
    with pytest.raises(AssertionError, match=r"socket\."):
        connect()
    assert len(loopback.refused) == 1
    loopback.refused.clear()


def test_a_test_may_connect_to_loopback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, port), timeout=5).close()
    if hasattr(socket, "AF_UNIX"):
        near, far = socket.socketpair()
        near.sendall(b"here")
        assert far.recv(4) == b"here"
        near.close()
        far.close()


def test_a_swallowed_refusal_still_fails_the_test(tmp_path: Path) -> None:
    shutil.copy(CHECKOUT / "tests" / "conftest.py", tmp_path)
    shutil.copytree(CHECKOUT / "tests" / "machine", tmp_path / "machine")
    body = f"    try: socket.create_connection({OTHER_MACHINE}, timeout=1)\n    except Exception: pass\n"
    (tmp_path / "test_quiet.py").write_text(f"import socket\ndef test_quiet() -> None:\n{body}")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", "test_quiet.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "192.0.2.1" in done.stdout) == (1, True), done.stdout


def test_every_directory_is_inside_the_tests_own(tmp_path: Path) -> None:
    from deepchecks_telemetry.spool.files.paths import find_home

    directories = find_home(os.environ)
    assert Path(directories.state).is_relative_to(tmp_path)
    assert Path(directories.config).is_relative_to(tmp_path)
    if sys.platform == "linux":  # on other systems the directories do not depend on the environment
        assert Path(directories.policy).is_relative_to(tmp_path)
