"""A header from a command line, a file or a variable is one header of one request; web pages cannot add counts."""

import http.client
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from deepchecks_telemetry import cli
from deepchecks_telemetry.collector import report, running
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.uploader.endpoint import ALLOW_HTTP, CLIENT_HEADERS, configure, find_endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint
from deepchecks_telemetry.uploader.flush import flush, seal_next
from deepchecks_telemetry.uploader.setting import VARIABLE

from .network import Listener, listening

SMUGGLED = ["Host", "CONTENT-LENGTH", "transfer-encoding", "Connection", "Expect", "Content-Encoding", "Upgrade", "TE"]
# To a parser with other rules for line ends, each would be a separate header, or the end of the head.
BREAKS = ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\x00", "\r\n\r\n", "\n "]


@pytest.fixture
def server() -> Iterator[Listener]:
    with listening() as running:
        yield running


def deepchecks(*arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "deepchecks_telemetry.cli", "telemetry", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)


def heads(server: Listener) -> list[list[bytes]]:
    return [request.partition(b"\r\n\r\n")[0].lower().split(b"\r\n") for request in server.requests]


@pytest.mark.parametrize("name", [*SMUGGLED, *sorted(CLIENT_HEADERS)])
def test_a_header_that_frames_a_request_cannot_be_set(name: str, home: Path) -> None:
    with pytest.raises(BadEndpoint, match="is set by the client"):
        configure(find_home(), "https://a.example", headers={name: "1"})
    assert not home.exists()
    with pytest.raises(BadEndpoint, match="is set by the client"):
        find_endpoint(find_home(), None, {VARIABLE: f"https://a.example\n{name}: 1"})


@pytest.mark.parametrize("after", BREAKS, ids=ascii)
@pytest.mark.parametrize("rest", ["Host: evil.example", "Transfer-Encoding: chunked", "GET / HTTP/1.1", "X-More: 1"])
def test_a_header_file_is_refused_or_becomes_one_request(after: str, rest: str, server: Listener) -> None:
    file = Path(find_home().config, "endpoint")
    file.parent.mkdir(parents=True, mode=0o700)
    file.write_bytes(f"{server.url} {ALLOW_HTTP}\nX-Token: a{after}{rest}\n".encode())
    try:
        endpoint = find_endpoint(find_home())
    except BadEndpoint:
        return
    assert endpoint is not None
    assert record("run-check")
    assert [sent.outcome.kind for sent in flush(find_home(), endpoint)] == ["delivered"]
    (head,) = heads(server)
    assert head[0] == b"post /v1/logs http/1.1"
    assert f"host: 127.0.0.1:{server.port}".encode() in head
    assert [line for line in head if line.startswith((b"transfer-encoding", b"get "))] == []
    assert set(endpoint.headers) == {"X-Token", "X-More"}


@pytest.mark.parametrize("value", ["X-A=b\r\nHost: evil.example", "X-A=b\nX-B: c", "X-A=\x1b[2J", "X A=b", "Host=evil"])
def test_an_invalid_header_is_a_usage_error_and_not_stored(value: str, home: Path) -> None:
    words = ["telemetry", "enable", "--endpoint", "https://a.example", "--header", value]
    done = CliRunner().invoke(cli.deepchecks, words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.replace("\n", "").isprintable()
    assert not home.exists()


def test_a_token_from_standard_input_is_stored_and_sent_but_not_printed(server: Listener, home: Path) -> None:
    done = deepchecks("enable", "--endpoint", server.url, "--headers", "-", stdin="X-Token: hush-hush\n")
    assert done.returncode == 0, done.stderr
    assert record("run-check")
    done = deepchecks("flush")
    (head,) = heads(server)
    assert b"x-token: hush-hush" in head
    outputs = [deepchecks(*look) for look in (["status", "--explain"], ["sent", "--json"], ["doctor"], ["inspect"])]
    assert "hush" not in "".join(run.stdout + run.stderr for run in (done, *outputs))
    holders = [path.name for path in home.rglob("*") if path.is_file() and b"hush-hush" in path.read_bytes()]
    assert holders == ["endpoint"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no FIFO to hand over a secret")
def test_a_token_can_come_from_a_secret_manager(tmp_path: Path) -> None:
    """As `--headers <(pass show token)` does."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen(["sh", "-c", 'printf "X-Token: hush\\n" > "$0"', fifo]) as writer:
        done = deepchecks("enable", "--endpoint", "https://a.example", "--headers", str(fifo))
        assert writer.wait(30) == 0
    assert done.returncode == 0, done.stderr
    found = find_endpoint(find_home())
    assert found is not None
    assert found.headers == {"X-Token": "hush"}


# --- a web page in a browser on the collector's machine

JSON = {"Content-Type": "application/json"}
PAGES = {
    "a page of another site": {**JSON, "Origin": "https://evil.example"},
    "a page whose name was made to mean this machine": {
        **JSON,
        "Origin": "http://evil.example",
        "Host": "evil.example",
    },
    "a page that was opened as a file": {**JSON, "Origin": "null"},
    "a page on this machine": {**JSON, "Origin": "http://localhost:8888", "Sec-Fetch-Site": "same-site"},
    "a page with protobuf": {"Content-Type": "application/x-protobuf", "Origin": "https://evil.example"},
    # What a browser sends without a CORS preflight; old browsers send no origin.
    "a form": {"Content-Type": "application/x-www-form-urlencoded"},
    "a form with a file": {"Content-Type": "multipart/form-data; boundary=x"},
    "a beacon": {"Content-Type": "text/plain;charset=UTF-8"},
}


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    store = tmp_path_factory.mktemp("collector") / "store.db"
    with running(store) as url:
        yield int(url.rpartition(":")[2]), store


def ask(port: int, method: str, body: bytes, headers: dict[str, str]) -> http.client.HTTPResponse:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    client.request(method, "/v1/logs", body, headers)
    answer = client.getresponse()
    answer.read()
    client.close()
    return answer


@pytest.mark.parametrize("page", PAGES)
def test_no_page_in_a_browser_adds_a_count(page: str, collector: tuple[int, Path]) -> None:
    port, store = collector
    assert record("run-check")
    batch = seal_next(find_home())
    assert batch is not None
    before = report(store).rows
    answer = ask(port, "POST", batch.body, PAGES[page])
    assert answer.status in (403, 415)
    assert report(store).rows == before
    assert ask(port, "POST", batch.body, JSON).status == 200  # a client that is not a browser is accepted
    assert report(store).rows == before + 1


def test_a_cors_preflight_is_not_allowed(collector: tuple[int, Path]) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    asked |= {"Access-Control-Request-Headers": "content-type", "Access-Control-Request-Private-Network": "true"}
    answer = ask(collector[0], "OPTIONS", b"", asked)
    assert answer.status == 405
    assert [name for name in answer.headers if name.lower().startswith("access-control")] == []
