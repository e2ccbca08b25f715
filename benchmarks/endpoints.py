"""Endpoints for the peers on 127.0.0.1: one that responds and stores requests, one that refuses, one that is silent."""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

STATES = ("answers", "refuses", "silent")
Respond = Callable[[str, str], bytes]  # from the path and the URL of the endpoint to the body of the response


class Endpoint(NamedTuple):
    """The port, and the requests: path and decompressed body of each."""

    port: int
    requests: list[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def endpoint(state: str, respond: Respond) -> Iterator[Endpoint]:
    """The endpoint in one of its states."""
    with {"answers": lambda: answering(respond), "refuses": refusing, "silent": silent}[state]() as opened:
        yield opened


@contextmanager
def answering(respond: Respond, port: int = 0) -> Iterator[Endpoint]:
    """Responds with 200 and the body of `respond`."""
    with _Server(("127.0.0.1", port), _Handler) as server:
        server.respond, server.endpoint = respond, Endpoint(server.server_address[1], [])
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.endpoint
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def refusing() -> Iterator[Endpoint]:
    """A bound port on which nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield Endpoint(bound.getsockname()[1], [])


@contextmanager
def silent() -> Iterator[Endpoint]:
    """Connections succeed, and no response follows: the kernel accepts them, and nothing reads."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        yield Endpoint(listener.getsockname()[1], [])


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # otherwise a client with an open connection would delay the end
    request_queue_size = 128
    respond: Respond
    endpoint: Endpoint

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore it: clients are killed on purpose."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # Head and body in one packet; otherwise a client with an open connection waits 40 ms for its own delayed ACK.
    wbufsize = -1
    disable_nagle_algorithm = True

    def handle_request(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with suppress(OSError):  # some send no gzip despite the header
            body = gzip.decompress(body) if "gzip" in self.headers.get("Content-Encoding", "") else body
        self.server.endpoint.requests.append(self.path.encode() + b"\n" + body)
        content = self.server.respond(self.path, self.server.endpoint.url)
        self.send_response(200)
        self.send_header("Content-Type", "application/json" if content else "application/x-protobuf")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = handle_request  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing."""
