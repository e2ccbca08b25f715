"""No name of a user, their machine or their work is in our files, in requests, or in our output.

A full suite of the real deepchecks runs with a marked name wherever a name is possible: data, columns, the label,
the model, files and directories, the home, the user, the host. Then every byte that we stored or sent is searched.
"""

import gzip
import http.server
import importlib.util
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not importlib.util.find_spec("deepchecks"), reason="deepchecks is not installed"),
]

SCRIPT = Path(__file__).with_name("privacy_script.py")
MARK = "Zarquon"  # part of every name, and of no word that we use
SENT = 'eventName":"deepchecks.run-suite"'


class Receiver(http.server.BaseHTTPRequestHandler):
    """Keeps each request unchanged (line, headers, body), and responds like a collector."""

    seen: list[bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen += [self.requestline.encode(), self.headers.as_bytes(), body, gzip.decompress(body)]
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_request(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[bytes]]]:
    """The address of a receiver on this machine, and what it received."""
    seen: list[bytes] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("", (Receiver,), {"seen": seen}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, a user and a host whose names are marked; returns the user's working directory."""
    home = tmp_path / f"{MARK}-home"
    work = home / f"{MARK}-project"
    work.mkdir(parents=True)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for name in ("USER", "LOGNAME", "USERNAME", "HOSTNAME", "COMPUTERNAME", "SSH_CONNECTION", "VIRTUAL_ENV_PROMPT"):
        monkeypatch.setenv(name, f"{MARK}-{name.lower()}")
    # In their normal directories under the home, not in a directory that a test sets.
    for name in ("DEEPCHECKS_TELEMETRY_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name)
    return work


def on_a_named_host(command: list[str]) -> list[str]:
    """The command on a host with a marked name, if the system allows that."""
    unshare = ["unshare", "--uts", "sh", "-c", f'hostname {MARK}-host && exec "$@"', "sh"]
    try:
        can = subprocess.run([*unshare, "true"], capture_output=True, timeout=10).returncode == 0
    except FileNotFoundError:
        can = False
    return [*unshare, *command] if can else command


def run(work: Path, *arguments: str, code: int = 0) -> "subprocess.CompletedProcess[bytes]":
    command = on_a_named_host([sys.executable, "-W", "ignore", *arguments])
    done = subprocess.run(command, cwd=work, capture_output=True, timeout=250)
    assert done.returncode == code, done.stderr.decode()
    return done


def telemetry(work: Path, *arguments: str, code: int = 0) -> "subprocess.CompletedProcess[bytes]":
    return run(work, "-m", "deepchecks_telemetry.cli", "telemetry", *arguments, code=code)


def files_of_ours(home: Path) -> list[Path]:
    folders = [path for path in home.rglob("telemetry") if path.is_dir() and path.parent.name == "deepchecks"]
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def is_marked(content: bytes) -> bool:
    """Whether the bytes contain the mark, in any case and either character width."""
    lower = content.lower()
    return any(MARK.lower().encode(encoding) in lower for encoding in ("utf-8", "utf-16-le"))


def test_no_name_from_the_users_work_is_stored_sent_or_printed(named: Path, receiver: tuple[str, list[bytes]]) -> None:
    url, seen = receiver
    script = run(named, str(SCRIPT), MARK)
    assert is_marked((named / f"{MARK}.html").read_bytes()), "the user's own export contains the names"
    enable = telemetry(named, "enable", "--endpoint", url)
    preview = telemetry(named, "preview")
    waiting = files_of_ours(named.parent)
    assert {"spool.db", "mode", "endpoint"} <= {path.name for path in waiting}
    assert [path.name for path in waiting if is_marked(path.read_bytes())] == []
    flush = telemetry(named, "flush", "--json")
    assert any(SENT in body.decode("utf-8", "replace") for body in seen), seen
    assert [part for part in seen if is_marked(part)] == []
    assert [path.name for path in files_of_ours(named.parent) if is_marked(path.read_bytes())] == []
    runs = [enable, preview, flush, telemetry(named, "sent", "1"), telemetry(named, "sent"), *doctors(named)]
    output = [script.stderr, *(part for done in runs for part in (done.stdout, done.stderr))]
    assert [part for part in output if is_marked(part)] == []


def doctors(work: Path) -> list["subprocess.CompletedProcess[bytes]"]:
    """The reports of `doctor`, which users paste into issues: with and without problems."""
    well = telemetry(work, "doctor")
    (spool,) = (path for path in files_of_ours(work.parent) if path.name == "spool.db")
    spool.chmod(0o644)
    return [well, telemetry(work, "doctor", code=1), telemetry(work, "doctor", "--json", code=1)]


def test_the_search_finds_what_it_looks_for(tmp_path: Path) -> None:
    folder = tmp_path / "home" / ".local" / "state" / "deepchecks" / "telemetry"
    folder.mkdir(parents=True)
    for name, content in {"a": f"x{MARK}y".encode(), "b": MARK.upper().encode("utf-16-le"), "c": b"nothing"}.items():
        (folder / name).write_bytes(content)
    assert sorted(path.name for path in files_of_ours(tmp_path / "home") if is_marked(path.read_bytes())) == ["a", "b"]
