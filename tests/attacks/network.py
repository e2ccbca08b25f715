"""A server on loopback that keeps each request byte for byte, and sends the response that the test sets."""

import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Respond = Callable[[socketserver.StreamRequestHandler], None]

DELIVERED = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
LATER = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


class Listener(socketserver.ThreadingTCPServer):
    """Reads one request on each connection, then sends `answer`: bytes, or a function that writes them."""

    daemon_threads = True
    allow_reuse_address = True
    answer: "bytes | Respond" = DELIVERED

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((host, port), Handler)
        self.requests: list[bytes] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def use_tls(self, context: ssl.SSLContext) -> None:
        """Use TLS from now on."""
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, *_: object) -> None:
        """Ignore a client that disconnects."""


class Handler(socketserver.StreamRequestHandler):
    server: Listener
    timeout = 30

    def handle(self) -> None:
        self.server.requests.append(self._read_request())
        with suppress(OSError):
            answer = self.server.answer
            self.wfile.write(answer) if isinstance(answer, bytes) else answer(self)

    def _read_request(self) -> bytes:
        request, length = b"", 0
        while line := self.rfile.readline():
            request += line
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
            if line == b"\r\n":
                break
        return request + self.rfile.read(length)


@contextmanager
def listening(host: str = "127.0.0.1", port: int = 0, context: "ssl.SSLContext | None" = None) -> Iterator[Listener]:
    with Listener(host, port) as server:
        if context:
            server.use_tls(context)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
