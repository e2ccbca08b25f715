"""Fixtures: the command line in a process of its own or in this one, a spool for each test, and a receiver."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
import venv
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deepchecks_telemetry import cli
from deepchecks_telemetry.spool.consent import decision as consent
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.recording.record import close

Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]

TIMEOUT_S = 250 if os.name == "nt" else 60  # under Wine a process takes seconds to start

# A variable without a value counts as not set; then the test's user has the directories of the fixture `default`.
UNSET = dict.fromkeys(("DEEPCHECKS_TELEMETRY_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOME"), "")

if sys.platform == "win32":

    @pytest.fixture(autouse=True)
    def home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """The default directory, which each user of Windows has; with a variable, a command names two directories."""
        monkeypatch.delenv("DEEPCHECKS_TELEMETRY_DIR")
        default = find_home()
        assert default.default is None
        assert Path(default.state).is_relative_to(home.parent)
        yield Path(default.state).parent
        close()  # a host does not look for other default directories


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a Python with these arguments."""
    # The default decides, as for a new user; the child process is not detected as a test run.
    monkeypatch.delenv("DEEPCHECKS_TELEMETRY", raising=False)

    def run(*arguments: str, python: str = sys.executable, **variables: str) -> Done:
        environ = {**os.environ, "PYTHONIOENCODING": "utf-8", **variables}
        return subprocess.run(
            [python, *arguments], cwd=tmp_path, env=environ, capture_output=True, encoding="utf-8", timeout=TIMEOUT_S
        )

    return run


@pytest.fixture
def program(python: Run) -> Run:
    """Run `deepchecks telemetry …` in a process of its own."""

    def run(*arguments: str, **variables: str) -> Done:
        return python("-m", "deepchecks_telemetry.cli", "telemetry", *arguments, **variables)

    return run


@pytest.fixture
def deepchecks(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `deepchecks telemetry …` in the test's process, which takes a tenth of the time."""
    monkeypatch.delenv("DEEPCHECKS_TELEMETRY", raising=False)
    monkeypatch.setattr(consent, "is_test_run", lambda *_: False)  # otherwise the mode would be off in a test

    def run(*arguments: str, **variables: str) -> Done:
        done = CliRunner().invoke(cli.deepchecks, ["telemetry", *arguments], prog_name="deepchecks", env=variables)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def record(python: Run) -> Callable[..., list[bool]]:
    """Record these events in a process of their own; returns the result of each."""

    def run(*names: str, **variables: str) -> list[bool]:
        script = f"import json\nfrom deepchecks_telemetry.spool import record\nprint([*map(record, {names!r})])"
        done = python("-c", script, **variables)
        assert (done.returncode, done.stderr) == (0, "")
        results: list[bool] = json.loads(done.stdout.lower())
        return results

    return run


@pytest.fixture
def sql(home: Path) -> Callable[..., list[Any]]:
    """Execute a statement on the spool, as with an SQLite shell."""

    def execute(statement: str, *values: object) -> list[Any]:
        with closing(sqlite3.connect(home / "state" / "spool.db", isolation_level=None, timeout=10)) as connection:
            return connection.execute(statement, values).fetchall()

    return execute


@pytest.fixture
def default(registered: Path) -> Home:
    """The directories of a user who has set no variable; a program has them with the variables of `UNSET`."""
    found = find_home({})
    assert Path(found.state).is_relative_to(registered)
    return found


class Receiver(ThreadingHTTPServer):
    """Responds to every POST with `status` and `answer`, and keeps the bodies."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.answer = b"{}"
        self.bodies: list[bytes] = []
        self.arrived, self.hold = threading.Event(), threading.Event()
        self.hold.set()  # a test that clears it holds back the responses

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.arrived.set()
        if not self.server.hold.wait(60):
            return
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on a free port of the loopback interface."""
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def environment(tmp_path: Path) -> str:
    """The interpreter of a virtual environment with access to our packages and site-packages of its own."""
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=False, symlinks=os.name == "posix")
    (packages,) = [*folder.glob("lib/python*/site-packages"), *folder.glob("Lib/site-packages")]
    (packages / "packages.pth").write_text("\n".join(filter(os.path.isabs, sys.path)))
    return str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


@pytest.fixture
def files(tmp_path: Path) -> Callable[[], dict[str, bytes]]:
    """Read every file below the test's directory, in a process that has no connection open."""

    def read() -> dict[str, bytes]:
        paths = (path for path in tmp_path.rglob("*") if path.is_file())
        return {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in paths}

    return read
