"""Keeps every test at home: its own folders, its own opt-ins, and no socket that leaves loopback."""

import ipaddress
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from deepchecks_telemetry.spool.consent import resource as environment
from deepchecks_telemetry.spool.files.paths import find_default, find_home

# A shared machine is slow at times: the timeout of each test is the limit, not hypothesis' 200 ms for each example.
# In CI the examples are the same in each run: what a random one finds there, a change that has nothing to do with it
# would pay for.
hypothesis.settings.register_profile("house", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("house")

# Programs with a PYTHONPATH of their own need this folder in it: see its module.
MACHINE = Path(__file__).parent / "machine"
_REAL = find_default("")
exec((MACHINE / "sitecustomize.py").read_text("utf-8"), {})

_OURS = ("DEEPCHECKS_", "DISABLE_DEEPCHECKS_", "DISABLE_LATEST_VERSION_CHECK", "DO_NOT_TRACK")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_NAMED = ("connect", "sendto", "sendmsg")
_RESOLVED = ("getaddrinfo", "gethostbyname", "gethostbyaddr")


class LeftLoopbackError(AssertionError):
    """A test tried to reach another machine."""


class Loopback:
    """Refuses what would leave loopback, and remembers it: the code under test may have swallowed the refusal."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        room, _, act = event.partition(".")
        if room == "socket" and act in (*_NAMED, *_RESOLVED):
            host = _host(args[0], args[1]) if act in _NAMED else args[0]
            if not is_local(host):
                self.refused.append(f"{event} {host!r}")
                raise LeftLoopbackError(self.refused[-1])


def _host(sock: object, address: object) -> object:
    inet = isinstance(sock, socket.socket) and sock.family in (socket.AF_INET, socket.AF_INET6)
    return address[0] if inet and isinstance(address, tuple) else None


def is_local(host: object) -> bool:
    """Whether a host is this machine, told without asking a resolver."""
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
    """Refuse to run where this user has decided or recorded anything: an isolated interpreter looks there."""
    if _REAL and (there := [folder for folder in _REAL[:2] if os.path.lexists(folder)]):
        pytest.exit(f"{there[0]} exists: tests run as a user without telemetry (deepchecks telemetry purge)", 2)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where a test has made the real user's own folders."""
    if not hasattr(session.config, "workerinput") and _REAL and any(map(os.path.lexists, _REAL[:2])):
        pytest.exit(f"a test has written to {_REAL.state} or {_REAL.config}, which are the real user's", 1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--long`: `pytest tests/campaigns --long`."""
    parser.addoption("--long", action="store_true", help="run campaigns and mutations in full: an hour or more")


@pytest.fixture(autouse=True)
def loopback() -> Iterator[Loopback]:
    """Fail the test that reached out, even where its code swallowed the refusal."""
    _LOOPBACK.refused.clear()
    yield _LOOPBACK
    assert _LOOPBACK.refused == []


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Answer the one folder under which everything of ours lies; no variable of the caller's reaches the test."""
    for name in list(os.environ):
        if name.upper().startswith(_OURS) or name.upper() in (*_PROXIES, *environment._CI):
            monkeypatch.delenv(name)
    # Each interpreter that is started finds no folder of the real user's by the user database, as this one does.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(MACHINE), os.environ.get("PYTHONPATH")])))
    monkeypatch.delenv("TESTS_REGISTERED_HOME", raising=False)
    user = tmp_path / "user"
    for name in ("HOME", "USERPROFILE", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(user))
    monkeypatch.setenv("XDG_CACHE_HOME", str(user / "cache"))
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY", "on")  # the default of a test run is off
    assert find_home() == (*(str(tmp_path / "home" / name) for name in ("state", "config")), find_home().policy, None)
    assert os.name == "nt" or find_home().policy.startswith(str(tmp_path)), "this machine has a policy: no test runs"
    return tmp_path / "home"


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of this user by the user database, whatever the variables say; else a test's user has none."""
    monkeypatch.setenv("TESTS_REGISTERED_HOME", str(tmp_path / "registered"))
    folder = tmp_path / "registered" / str(os.geteuid() if hasattr(os, "geteuid") else "")
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def tool() -> Callable[[str], str]:
    """Answer the path of a program from outside Python; without it skip, but fail in the gate, which installs it."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            (pytest.fail if os.environ.get("GATE") else pytest.skip)(
                f"{name} is not installed here; .ci/run installs it"
            )
        return path

    return find
