"""A collector accepts requests as soon as it is announced, and leaves no process behind however it is stopped."""

import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from deepchecks_telemetry.collector import CollectorError, report, running, serve
from deepchecks_telemetry.collector.server.serve import _listening

Build = Callable[..., Any]
Started = Callable[..., "tuple[subprocess.Popen[str], str]"]
COMMAND = [sys.executable, "-m", "deepchecks_telemetry.collector"]


def piped(command: list[str]) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """Starts collectors on `store.db`, and kills those that are still running at the end."""
    children: list[subprocess.Popen[str]] = []

    def start(*command: str) -> "tuple[subprocess.Popen[str], str]":
        child = piped([*(command or COMMAND), str(tmp_path / "store.db")])
        children.append(child)
        assert child.stdout is not None
        return child, child.stdout.readline().strip()

    yield start
    for child in children:
        with child:
            child.kill()


def connected(url: str) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    connection.connect()
    return connection


def posted(url: str, request: object) -> int:
    connection = connected(url)
    connection.request("POST", "/v1/logs", json.dumps(request), {"Content-Type": "application/json"})
    status = connection.getresponse().status
    connection.close()
    return status


def refuses(url: str) -> bool:
    host, port = urlsplit(url).hostname, urlsplit(url).port
    try:
        socket.create_connection((host or "", port or 0), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_running_collector_accepts_rows_until_the_block_ends(
    tmp_path: Path, record: Build, request_of: Build
) -> None:
    with running(tmp_path / "store.db") as url:
        assert url.startswith("http://127.0.0.1:")
        assert posted(url, request_of(record())) == 200
    assert refuses(url)
    assert not (tmp_path / "store.db-wal").exists()  # the store was closed, so the process was not killed
    assert report(tmp_path / "store.db").rows == 1


def test_a_running_collector_ends_when_the_block_raises(tmp_path: Path) -> None:
    with pytest.raises(LookupError), running(tmp_path / "store.db") as url:
        raise LookupError
    assert refuses(url)


def test_a_running_collector_ends_with_its_killed_parent(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from deepchecks_telemetry.collector import running\n"
        "with running(Path(sys.argv[1])) as url:\n"
        "    print(url, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with piped([sys.executable, "-c", script, str(tmp_path / "store.db")]) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        url = parent.stdout.readline().strip()
        # With its response: on Windows asyncio reports a connection that it accepts while the server closes.
        assert posted(url, {"resourceLogs": []}) == 200
        parent.kill()
        assert parent.stderr.read() == ""  # at its end when the last process with this pipe has ended
    assert refuses(url)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_collector_finishes_a_running_request(
    started: Started, tmp_path: Path, record: Build, request_of: Build, number: signal.Signals
) -> None:
    child, url = started()
    body = json.dumps(request_of(record())).encode()
    connection = connected(url)
    connection.putrequest("POST", "/v1/logs")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    assert connection.sock.recv(100).startswith(b"HTTP/1.1 100")  # the server waits for the body
    connection.send(body[:50])
    child.send_signal(number)
    connection.send(body[50:])
    assert connection.getresponse().status == 200
    connection.close()
    assert child.wait(20) == 0
    assert refuses(url)
    assert report(tmp_path / "store.db").rows == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")
def test_a_signal_right_after_the_announcement_stops_it(started: Started) -> None:
    child, _ = started()
    child.terminate()
    assert child.wait(20) == 0


def test_the_output_has_the_url_and_no_address_of_a_sender(started: Started, record: Build, request_of: Build) -> None:
    child, url = started()
    assert posted(url, request_of(record())) == 200
    assert posted(url, []) == 400
    connection = connected(url)
    connection.send(b"not HTTP\r\n\r\n")
    assert connection.sock.recv(1000).startswith(b"HTTP/1.1 400")
    connection.close()
    out, err = child.communicate(timeout=20)  # closes its standard input
    assert (child.returncode, out) == (0, "")
    assert "127.0.0.1" not in err


def test_a_port_in_use_is_reported(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CollectorError, match=f"Cannot listen on 127.0.0.1, port {port}"):
            serve(tmp_path / "store.db", port=port)


def test_an_invalid_port_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CollectorError, match="65536 is not a valid port"):
        serve(tmp_path / "store.db", port=65_536)


def test_a_collector_that_cannot_start_is_reported(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CollectorError, match="did not start"), running(tmp_path):
        pass
    assert capfd.readouterr().err.startswith("Error: ")


def test_a_collector_that_does_not_start_in_time_is_killed(tmp_path: Path) -> None:
    with pytest.raises(CollectorError, match="did not start"), running(tmp_path / "store.db", start_s=0.001):
        pass


def test_without_the_extra_the_error_names_it_and_reports_still_work(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "sys.modules['uvicorn'] = sys.modules['starlette'] = None\n"
        "from deepchecks_telemetry.collector import CollectorError, report, serve\n"
        "try:\n"
        "    serve(Path(sys.argv[1]), port=0)\n"
        "except CollectorError as error:\n"
        "    print(error, report(Path(sys.argv[1])).rows)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "store.db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "pip install 'deepchecks-telemetry[collector]' 0" in done.stdout, done.stderr


def test_a_response_in_two_parts_does_not_wait_for_the_first_to_be_acknowledged() -> None:
    with (
        _listening("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
def test_an_ipv6_address_is_announced_in_brackets(started: Started) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    command = "-m deepchecks_telemetry.cli telemetry collector serve --host ::1 --port 0 --store".split()
    _, line = started(sys.executable, *command)
    url = line.removeprefix("Listening on ")
    assert url.startswith("http://[::1]:")
    assert posted(url, {}) == 200


@pytest.mark.skipif("sys.version_info < (3, 11)", reason="PYTHONSAFEPATH came with Python 3.11")
def test_a_file_in_the_current_directory_replaces_no_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uvicorn.py").write_text("raise SystemExit('taken over')")
    monkeypatch.chdir(tmp_path)
    with running(tmp_path / "store.db") as url:
        assert posted(url, {}) == 200
