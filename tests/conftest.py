"""Isolates every test: its own directories, its own variables, and no socket beyond loopback."""

import ipaddress
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from deepchecks_telemetry.spool.consent import resource
from deepchecks_telemetry.spool.files.paths import find_default, find_home

# A shared machine can be slow, so the limit is the timeout of each test, not hypothesis' 200 ms for each example.
# In CI the examples are the same in each run; otherwise a random one could fail an unrelated change.

hypothesis.settings.register_profile("project", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("project")

# Programs with a PYTHONPATH of their own need this directory in it; see its module.
MACHINE = Path(__file__).parent / "machine"
_REAL_HOME = find_default("")
exec((MACHINE / "sitecustomize.py").read_text("utf-8"), {})

IS_WINE = False
if sys.platform == "win32":
    import ctypes

    IS_WINE = hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")
    collect_ignore = ["test_benchmarks.py"]  # the benchmarks import `resource`, which Windows lacks

_OUR_VARIABLES = ("DEEPCHECKS_", "DISABLE_DEEPCHECKS_", "DISABLE_LATEST_VERSION_CHECK", "DO_NOT_TRACK")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_CONNECTING = ("connect", "sendto", "sendmsg")
_RESOLVING = ("getaddrinfo", "gethostbyname", "gethostbyaddr")


class LeftLoopbackError(AssertionError):
    """A test tried to reach another machine."""


class Loopback:
    """Refuses connections beyond loopback, and remembers them in case the code under test swallows the exception."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        module, _, function = event.partition(".")
        if module == "socket" and function in (*_CONNECTING, *_RESOLVING):
            host = _host(args[0], args[1]) if function in _CONNECTING else args[0]
            if not is_local(host):
                self.refused.append(f"{event} {host!r}")
                raise LeftLoopbackError(self.refused[-1])


def _host(sock: object, address: object) -> object:
    inet = isinstance(sock, socket.socket) and sock.family in (socket.AF_INET, socket.AF_INET6)
    return address[0] if inet and isinstance(address, tuple) else None


def is_local(host: object) -> bool:
    """Whether a host is this machine, without using a resolver."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(name)).is_loopback
    except ValueError:
        return False


_LOOPBACK = Loopback()
sys.addaudithook(_LOOPBACK)


def pytest_sessionstart() -> None:
    """Refuse to run if this user has a choice or a spool, because an isolated interpreter would use them."""
    if _REAL_HOME and (existing := [path for path in _REAL_HOME[:2] if os.path.lexists(path)]):
        pytest.exit(f"{existing[0]} exists: tests run as a user without telemetry (deepchecks telemetry purge)", 2)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail if a test has created the real user's own directories."""
    if not hasattr(session.config, "workerinput") and _REAL_HOME and any(map(os.path.lexists, _REAL_HOME[:2])):
        pytest.exit(f"a test has written to {_REAL_HOME.state} or {_REAL_HOME.config}, which are the real user's", 1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--long`: `pytest tests/campaigns --long`."""
    parser.addoption("--long", action="store_true", help="run campaigns and mutations in full: an hour or more")


@pytest.fixture(autouse=True)
def loopback() -> Iterator[Loopback]:
    """Fail a test that tried to leave loopback, even if its code swallowed the exception."""
    _LOOPBACK.refused.clear()
    yield _LOOPBACK
    assert _LOOPBACK.refused == []


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that contains all our files; variables of the caller do not reach the test."""
    for name in list(os.environ):
        if name.upper().startswith(_OUR_VARIABLES) or name.upper() in (*_PROXIES, *resource._CI):
            monkeypatch.delenv(name)
    # No interpreter that a test starts finds the real user's home in the user database, as in this process.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(MACHINE), os.environ.get("PYTHONPATH")])))
    monkeypatch.delenv("TESTS_REGISTERED_HOME", raising=False)
    user = tmp_path / "user"
    for name in ("HOME", "USERPROFILE", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(user))
    monkeypatch.setenv("XDG_CACHE_HOME", str(user / "cache"))
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY", "on")  # the default of a test run is off
    assert find_home()[:2] == tuple(str(tmp_path / "home" / name) for name in ("state", "config"))
    assert find_home().default is None or os.name == "nt"  # Windows has no user without a directory
    assert find_home().policy.startswith(str(tmp_path)), "this machine has a policy: no test runs"
    return tmp_path / "home"


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home directory of this user in the user database; without this fixture a test's user has none."""
    monkeypatch.setenv("TESTS_REGISTERED_HOME", str(tmp_path / "registered"))
    folder = tmp_path / "registered" / str(os.geteuid() if hasattr(os, "geteuid") else "")
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """An empty directory, as of a disk that carries exported files."""
    folder = tmp_path / "stick"
    folder.mkdir()
    return folder


@pytest.fixture
def tool() -> Callable[[str], str]:
    """Find the path of a program outside Python; if it is missing skip, but fail in CI, which installs it."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            (pytest.fail if os.environ.get("GATE") else pytest.skip)(
                f"{name} is not installed here; .ci/run installs it"
            )
        return path

    return find
