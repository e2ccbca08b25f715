"""`tour`: succeeds with every choice of the user, cleans up, and fails if a step fails."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.cli.conftest import UNSET

from deepchecks_telemetry.spool.files.paths import Home

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]

LIMIT_S = 300 if os.name == "nt" else 60  # a tour starts many processes, which take seconds under Wine

# Each makes one step fail, as a bug would.
LOST_EVENT = "tour.RECORD_EVENTS = tour.RECORD_EVENTS.replace('{events!r}', '{events!r}[1:]')"
DISCARDING_RECEIVER = """
import contextlib, http.server, threading
class Discarding(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers['Content-Length']))
        self.send_response(200)
        self.send_header('Content-Length', '2')
        self.end_headers()
        self.wfile.write(b'{}')
    def log_message(self, *arguments): pass
@contextlib.contextmanager
def discarding(store):
    with http.server.HTTPServer(('127.0.0.1', 0), Discarding) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f'http://127.0.0.1:{server.server_port}'
        finally:
            server.shutdown()
tour.running = discarding
"""
DATA_IS_LEFT = """
disable = tour._disable
def leave(sandbox):
    (sandbox.folder / 'home' / 'copy').write_text('run-check')
    disable(sandbox)
tour._disable = leave
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the tour creates its temporary directory."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(name, str(folder))
    return folder


@pytest.mark.timeout(LIMIT_S)
@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"DO_NOT_TRACK": "1", "DEEPCHECKS_TELEMETRY": "off", "DISABLE_LATEST_VERSION_CHECK": "1"},
        {
            "http_proxy": "http://127.0.0.1:9",
            "no_proxy": "example.org",
            "DEEPCHECKS_TELEMETRY_ENDPOINT": "http://127.0.0.1:9",
        },
    ],
    ids=["a new user", "opted out", "behind a proxy"],
)
def test_the_tour_succeeds_and_leaves_no_file(
    variables: dict[str, str], program: Run, temporary: Path, home: Path
) -> None:
    started = time.monotonic()
    done = program("tour", **variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - started < LIMIT_S / 3
    assert done.stdout.count("checked: ") == 5
    assert done.stdout.endswith(
        "Done: recorded, shown, sent, compared and wiped. The temporary directory is removed.\n"
    )
    assert list(temporary.iterdir()) == []
    assert not home.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no variable changes the policy's directory")
def test_the_administrators_policy_does_not_apply_to_the_tour(program: Run, temporary: Path) -> None:
    policy = Path(os.environ["XDG_CONFIG_DIRS"], "deepchecks", "telemetry", "mode")
    policy.parent.mkdir(parents=True)
    policy.write_text("off\n")
    assert program("tour").returncode == 0


@pytest.mark.timeout(LIMIT_S)
@pytest.mark.parametrize("choice", ["on", "off"])
def test_the_users_choice_and_events_are_not_changed(
    program: Run, record: Record, temporary: Path, registered: Path, default: Home, choice: str
) -> None:
    assert record("run-check", **UNSET) == [True]
    Path(default.config).mkdir(parents=True, exist_ok=True)
    Path(default.mode).write_text(choice)
    before = {path: path.read_bytes() for path in registered.rglob("*") if path.is_file()}
    assert default.spool in map(str, before)
    assert program("tour", **UNSET).returncode == 0
    assert {path: path.read_bytes() for path in registered.rglob("*") if path.is_file()} == before


@pytest.mark.timeout(LIMIT_S)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (LOST_EVENT, "pending counts is "),
        (DISCARDING_RECEIVER, "'collector report "),
        (DATA_IS_LEFT, "files with recorded data is ['copy']"),
    ],
    ids=["an event is lost", "the receiver stores nothing", "data is left"],
)
def test_the_tour_fails_if_a_step_fails_and_still_cleans_up(
    change: str, message: str, python: Run, temporary: Path
) -> None:
    start = "from importlib import import_module\nfrom deepchecks_telemetry import cli\n"
    start += "tour = import_module('deepchecks_telemetry.cli.setup.tour')\n"
    script = f"{start}{change}\nimport sys\nsys.argv[1:] = ['telemetry', 'tour']\ncli.main()"
    done = python("-c", script)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: The tour stopped: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Done:" not in done.stdout
    assert list(temporary.iterdir()) == []
