"""Shared by the uploader's tests: a filled spool, a receiver that stores its requests, servers that misbehave."""

import os
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.uploader.programs import Children

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.uploader.background import why_no_uploader
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.wire.outcome import Response

PATIENCE_S = 30  # a timeout for what must happen; reached only if a test fails
Behave = Callable[[socket.socket, threading.Event], None]
Fill = Callable[[int], None]


class Request(NamedTuple):
    """A request as it arrived: the body is not decompressed, names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Server6(ThreadingHTTPServer):
    """A server on IPv6."""

    address_family = socket.AF_INET6


class Receiver:
    """A real HTTP server on loopback that stores every request, and responds with the result of `answer`."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.answer: Callable[[Request], Response] = lambda _: Response(200, {}, b"{}")
        self.arrived: queue.Queue[Request] = queue.Queue()
        self.requests: list[Request] = []
        self._server = (Server6 if ":" in host else ThreadingHTTPServer)((host, 0), _handler(self))
        self.port = self._server.server_port
        self.endpoint = Endpoint(f"http://127.0.0.1:{self.port}/v1/logs", "a test")

    def bodies(self) -> list[bytes]:
        return [request.body for request in self.requests]

    def take(self, request: Request) -> Response:
        self.requests.append(request)
        self.arrived.put(request)
        return self.answer(request)

    @contextmanager
    def running(self) -> Iterator["Receiver"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join(PATIENCE_S)


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            response = receiver.take(Request(self.command, self.path, headers, body))
            with suppress(OSError):  # the client may be gone
                self.send_response(response.status or 500)
                for name, value in response.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(response.body)))
                self.end_headers()
                self.wfile.write(response.body)

        do_POST = do_GET = do_CONNECT = _reply  # noqa: N815 - http.server finds them by these names

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().running() as running:
        yield running


class Hostile:
    """A server on loopback that runs `behave` on each connection; `close` releases those that wait."""

    def __init__(self, behave: Behave) -> None:
        self._behave = behave
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self._open: list[socket.socket] = []
        self.released = threading.Event()
        self.accepted: queue.Queue[int] = queue.Queue()
        self.endpoint = Endpoint(f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1/logs", "a test")
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self.released.is_set():
                connection.close()
                return
            self._open.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()
            self.accepted.put(len(self._open))

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            self._behave(connection, self.released)

    def close(self) -> None:
        self.released.set()
        # On Linux a listener that is closed during an accept() in another thread stays open, so end the accept() first.
        with socket.create_connection(self._listener.getsockname()):
            pass
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_S)
        self._listener.close()


@pytest.fixture
def hostile() -> Iterator[Callable[[Behave], Hostile]]:
    before = set(threading.enumerate())
    servers: list[Hostile] = []

    def start(behave: Behave) -> Hostile:
        servers.append(Hostile(behave))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
    for thread in set(threading.enumerate()) - before:  # requests that were abandoned at their deadline
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


@pytest.fixture
def spool(home: Path) -> Home:
    """A spool with three pending events of today, in two rows."""
    for name in ("package-import", "run-check", "run-check"):
        assert record(name)
    return find_home()


@pytest.fixture
def fill(spool: Home) -> Fill:
    """Add the given number of rows with one event each, dated long ago."""

    def add(rows: int) -> None:
        events = [(10_000 + number // 7, number % 7 + 1) for number in range(rows)]
        with opened(spool) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO events (day, event, environment) VALUES (?, ?, 1)", events)
            connection.execute("COMMIT")

    return add


@pytest.fixture
def startable() -> None:
    """Skip the test if the uploader cannot be started, for example in a container without an init."""
    reason = why_no_uploader()
    if reason:
        (pytest.fail if os.environ.get("GATE") else pytest.skip)(reason)


@pytest.fixture
def children(startable: None, tmp_path: Path) -> Iterator[Children]:
    """An interpreter that reports each uploader that is started in this test."""
    if os.name == "nt":
        pytest.skip("the interpreter of this test is a shell script that writes to a FIFO")
    children = Children(tmp_path)
    yield children
    children.close()
