"""Slow clients are disconnected at their deadline, and the others are served however many slow ones there are."""

import asyncio
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import requests

from deepchecks_telemetry.collector import report
from deepchecks_telemetry.collector.errors import StartError
from deepchecks_telemetry.collector.server import limits, slow_clients, writer
from deepchecks_telemetry.collector.server.serve import _server, serve
from deepchecks_telemetry.collector.store import Store

Build = Callable[..., Any]
HEAD = b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


class Server:
    """A collector in a thread, so that its deadlines can be short."""

    def __init__(self, path: Path, token: str | None = None) -> None:
        self.path = path
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._store = Store(path)
        self._server = _server(self._store, token, None)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve([self.listener])))
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        self.listener.close()
        self._store.close()

    def connect(self, *parts: bytes) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        for part in parts:
            client.sendall(part)
        return client

    def client(self) -> http.client.HTTPConnection:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        client.connect()
        return client

    def post(self, body: bytes, **headers: str) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            kind = {"Content-Type": "application/json", **headers}
            return session.post(f"{self.url}/v1/logs", data=body, headers=kind, timeout=20)


@pytest.fixture
def short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_clients, "HEAD_DEADLINE_S", 0.1)
    monkeypatch.setattr(limits, "BODY_DEADLINE_S", 0.1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path / "store.db")
    yield running
    running.stop()


def read_to_end(client: socket.socket) -> bytes:
    """All that the server sends until it closes the connection."""
    received = b""
    with client:
        try:
            while part := client.recv(65536):
                received += part
        except ConnectionResetError:
            pass
    return received


@pytest.mark.parametrize(
    "sent",
    [b"", b"POST", HEAD, HEAD + b"Content-Length: 2\r\n\r\n{}" + HEAD],
    ids=["nothing", "a word", "an incomplete head", "an incomplete second head"],
)
def test_a_client_that_does_not_complete_its_head_is_disconnected(
    short_deadlines: None, server: Server, sent: bytes
) -> None:
    responses = read_to_end(server.connect(sent))
    assert responses.count(b"HTTP/1.1 200") == sent.count(b"{}")


def test_a_client_whose_body_does_not_arrive_gets_408_and_is_disconnected(
    short_deadlines: None, server: Server
) -> None:
    assert b" 408 " in read_to_end(server.connect(HEAD + b"Content-Length: 9\r\n\r\n{"))


def drip(client: socket.socket, end: float) -> None:
    while time.monotonic() < end:
        client.sendall(b" ")


def test_a_body_is_not_read_forever_after_its_response(short_deadlines: None, server: Server) -> None:
    end = time.monotonic() + 4  # uvicorn's own deadline of 5 s restarts with each byte
    with server.connect(b"POST /elsewhere HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n") as client:
        assert b" 404 " in client.recv(65536)
        with pytest.raises(ConnectionError):
            drip(client, end)


def healthy(client: http.client.HTTPConnection) -> bool:
    """Whether the server responds on this open connection."""
    assert client.sock is not None
    client.request("GET", "/healthz")
    return client.getresponse().read() == b'{"status":"ok"}'


def test_an_active_client_keeps_its_connection(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_clients, "HEAD_DEADLINE_S", 1.0)
    with closing(server.client()) as client:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            assert healthy(client)


def test_beyond_the_limit_of_connections_existing_ones_are_served(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_clients, "MAX_CONNECTIONS", 3)
    with ExitStack() as stack:
        served = [stack.enter_context(closing(server.client())) for _ in range(3)]
        assert all(map(healthy, served))
        assert read_to_end(server.connect()) == b""
        assert all(map(healthy, served))


def test_beyond_the_limit_of_held_bytes_the_oldest_incomplete_body_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch, record: Build, request_of: Build
) -> None:
    monkeypatch.setattr(limits, "MAX_HELD_BYTES", 30_000)
    body = json.dumps(request_of(record())).encode()
    start = HEAD + b"Expect: 100-continue\r\nContent-Length: 40000\r\n\r\n"
    with server.connect(start) as slow:
        assert slow.recv(100).startswith(b"HTTP/1.1 100")
        slow.sendall(b" " * 29_800)
        slow.settimeout(0.01)
        while not (refused := received_so_far(slow)):  # the bytes of the slow client may not have arrived yet
            assert server.post(body).status_code == 200
        while not refused.endswith(b"}"):
            refused += received_so_far(slow)
        head, _, message = refused.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 429")
        assert b"retry-after: 30" in head
        assert json.loads(message) == {"code": 8, "message": "The collector is behind with what it was sent."}
    assert report(server.path).rows == 1


def received_so_far(client: socket.socket) -> bytes:
    try:
        return client.recv(65536)
    except TimeoutError:
        return b""


def test_a_body_that_finds_no_room_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_HELD_BYTES", 1_000)
    assert server.post(b"{}".ljust(1_001)).status_code == 429
    assert server.post(b"{}".ljust(1_000)).status_code == 200


def test_sixteen_stalled_senders_of_large_bodies_do_not_make_the_next_one_wait(
    server: Server, record: Build, request_of: Build
) -> None:
    body = json.dumps(request_of(record())).encode()
    almost = HEAD + b"Content-Length: %d\r\n\r\n" % limits.MAX_BODY_BYTES + b" " * (limits.MAX_BODY_BYTES - 1)
    with ExitStack() as stack:
        stalled = [stack.enter_context(server.connect(almost)) for _ in range(16)]
        for client in stalled:
            client.settimeout(0.01)
        refused: list[bytes] = []
        while not refused:  # the bytes of the stalled clients may not have arrived yet
            assert server.post(body).status_code == 200
            refused = [response for client in stalled if (response := received_so_far(client))]
        assert all(response.startswith(b"HTTP/1.1 429") for response in refused)
        assert len(refused) == 1
    assert report(server.path).rows == 1


def test_beyond_the_limit_of_waiting_bodies_a_sender_is_asked_to_retry(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_WAITING", 0)
    assert server.post(b"{}").status_code == 429
    monkeypatch.setattr(writer, "MAX_WAITING", 1)
    assert [server.post(b"{}").status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Bearer s3cret", 200),
        ("bearer  s3cret", 200),
        ("Bearer s3cre", 401),
        ("Bearer s3cret2", 401),
        ("Bearer \xe9", 401),
        ("Basic s3cret", 401),
        ("s3cret", 401),
        ("", 401),
    ],
)
def test_only_requests_with_the_token_are_accepted(tmp_path: Path, header: str, status: int) -> None:
    server = Server(tmp_path / "store.db", token="s3cret")
    try:
        response = server.post(b"{}", Authorization=header)
        assert response.status_code == status
        assert response.headers.get("WWW-Authenticate") == ("Bearer" if status == 401 else None)
        assert status == 200 or response.json()["code"] == 16
    finally:
        server.stop()


@pytest.mark.parametrize("token", ["", " ", "a\nb", "\xe9", " a"])
def test_a_token_that_a_header_cannot_contain_is_reported(tmp_path: Path, token: str) -> None:
    with pytest.raises(StartError, match="The token"):
        serve(tmp_path / "store.db", port=0, token=token)


def memory_kib(process: int) -> int:
    """The peak memory of a process."""
    return int(Path(f"/proc/{process}/status").read_text().partition("VmHWM:")[2].split()[0])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc/PID/status")
def test_two_hundred_slow_clients_block_nobody_and_memory_is_bounded(
    tmp_path: Path, record: Build, request_of: Build
) -> None:
    command = [sys.executable, "-m", "deepchecks_telemetry.collector", str(tmp_path / "s.db")]
    start = HEAD + b"Content-Length: 4000000\r\n\r\n" + b" " * 200_000
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child,
        ExitStack() as stack,
    ):
        stack.callback(child.kill)
        assert child.stdout is not None
        port = int(child.stdout.readline().strip().rpartition(":")[2])
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as client:
            assert posted(client, request_of(record())) == 200
            before = memory_kib(child.pid)
            for _ in range(200):
                slow = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
                slow.sendall(start)
            for _ in range(3):
                assert posted(client, request_of(*[record() for _ in range(1_000)])) == 200
            assert memory_kib(child.pid) - before < 2 * limits.MAX_HELD_BYTES // 1024
    assert report(tmp_path / "s.db").rows == 3_001


def posted(client: http.client.HTTPConnection, request: object) -> int:
    client.request("POST", "/v1/logs", json.dumps(request), {"Content-Type": "application/json"})
    response = client.getresponse()
    response.read()
    return response.status
