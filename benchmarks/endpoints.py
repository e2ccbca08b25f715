"""What the peers talk to, on 127.0.0.1 only: an endpoint that answers and remembers, that refuses, that is silent."""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

STATES = ("answers", "refuses", "silent")
Answer = Callable[[str, str], bytes]  # of a path and of the endpoint's own URL


class Endpoint(NamedTuple):
    """Where it is, and what was asked of it: path and body, unpacked."""

    port: int
    requests: list[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def endpoint(state: str, answer: Answer) -> Iterator[Endpoint]:
    """The endpoint in one of its states."""
    with {"answers": lambda: answering(answer), "refuses": refusing, "silent": silent}[state]() as found:
        yield found


@contextmanager
def answering(answer: Answer, port: int = 0) -> Iterator[Endpoint]:
    """200 and what this peer's server would say."""
    with _Server(("127.0.0.1", port), _Handler) as server:
        server.answer, server.endpoint = answer, Endpoint(server.server_address[1], [])
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.endpoint
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def refusing() -> Iterator[Endpoint]:
    """A port that is bound, where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield Endpoint(bound.getsockname()[1], [])


@contextmanager
def silent() -> Iterator[Endpoint]:
    """Connected at once, never answered: the kernel accepts for us, and nobody reads."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        yield Endpoint(listener.getsockname()[1], [])


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client that keeps its connection would keep us
    request_queue_size = 128
    answer: Answer
    endpoint: Endpoint

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed in the middle is what we are here for."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # Head and body in one packet: else a client that keeps its connection waits 40 ms for its own delayed ACK.
    wbufsize = -1
    disable_nagle_algorithm = True

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with suppress(OSError):  # some say gzip and mean it
            body = gzip.decompress(body) if "gzip" in self.headers.get("Content-Encoding", "") else body
        self.server.endpoint.requests.append(self.path.encode() + b"\n" + body)
        said = self.server.answer(self.path, self.server.endpoint.url)
        self.send_response(200)
        self.send_header("Content-Type", "application/json" if said else "application/x-protobuf")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(said)

    do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""
