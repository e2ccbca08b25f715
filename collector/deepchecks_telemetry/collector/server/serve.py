"""Runs the collector: its URL is announced when it accepts connections, and a stop first finishes running requests."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from deepchecks_telemetry.collector.errors import StartError
from deepchecks_telemetry.collector.store import Store

if TYPE_CHECKING:
    import uvicorn

HOST, PORT = "127.0.0.1", 4318  # OTLP/HTTP's registered port, on loopback
GRACE_S = 5
START_S = 20.0


def serve(
    store: Path,
    *,
    host: str = HOST,
    port: int = PORT,
    token: str | None = None,
    announce: Callable[[str], None] = print,
    lifeline: int | None = None,
    log: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, or until the file descriptor `lifeline` is at its end; only in the main thread.

    `announce` is called with the base URL as soon as it accepts connections; port 0 means any free port. With a
    `token`, only requests with this bearer token are accepted. `log` is called with a line for each request.
    """
    _check_token(token)
    with closing(Store(store)) as opened, _listening(host, port) as listener:
        server = _server(opened, token, log)
        with _stopped_by_signals(server):
            if lifeline is not None:
                threading.Thread(target=_stop_at_eof, args=(lifeline, server), daemon=True).start()
            announce(_url(listener))
            server.run(sockets=[listener])


@contextmanager
def running(store: Path, *, start_s: float = START_S) -> Iterator[str]:
    """Run a collector in a child process on a free loopback port until the block or this process ends; its base URL."""
    command = [sys.executable, "-m", "deepchecks_telemetry.collector", str(store)]
    # A file in the current directory must not replace a module.
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True, encoding="utf-8"
    ) as child:
        try:
            yield _read_url(child, start_s)
        finally:
            _stop(child)


def _check_token(token: str | None) -> None:
    # An empty token, from a variable without a value, must not accept every request or none.
    if token is not None and not (token.isascii() and token.isprintable() and token == token.strip() != ""):
        raise StartError(
            "The token is empty or has characters that an HTTP header cannot contain. Use letters and digits."
        )


def _server(store: Store, token: str | None, log: Callable[[str], None] | None = None) -> "uvicorn.Server":
    try:
        import uvicorn

        from deepchecks_telemetry.collector.server.app import application
        from deepchecks_telemetry.collector.server.request_log import RequestLog
        from deepchecks_telemetry.collector.server.slow_clients import Connection
    except ImportError as error:
        remedy = "Run: pip install 'deepchecks-telemetry[collector]'"
        raise StartError(f"The optional dependencies of the collector are not installed. {remedy}") from error
    app = application(store, token=token)
    return uvicorn.Server(
        uvicorn.Config(
            app if log is None else RequestLog(app, log),
            # Not chosen by what is installed: only this combination is tested.
            http=Connection,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,  # it would contain the address of the sender
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
    )


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """Listen before the server runs, so that early connections wait in the backlog."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if not 0 <= port <= 65_535:
        raise StartError(f"{port} is not a valid port. Choose one from 0 to 65535 with --port.")
    try:
        listener = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise StartError(f"Cannot listen on {host}, port {port} ({error}). Choose another with --port.") from error
    with listener:
        # Connections inherit it. asyncio only sets it if the socket names its protocol, which this one does not: a
        # response in two parts would wait 40 ms for the delayed acknowledgment of the first.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _stopped_by_signals(server: "uvicorn.Server") -> Iterator[None]:
    """Stop at SIGINT or SIGTERM and return; uvicorn handles them only while it runs, and then raises them again."""

    def stop(_: int, __: FrameType | None) -> None:
        server.should_exit = True

    handlers = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _stop_at_eof(lifeline: int, server: "uvicorn.Server") -> None:
    # Not with sys.stdin: a waiting thread would hold its lock, and the interpreter aborts if that is held at exit.
    while os.read(lifeline, 4096):
        pass
    server.should_exit = True


def _read_url(child: "subprocess.Popen[str]", start_s: float) -> str:
    """The URL that the child prints; the child is killed at the deadline, which closes the pipe."""
    assert child.stdout is not None  # noqa: S101 — for mypy
    deadline = threading.Timer(start_s, child.kill)
    deadline.start()
    try:
        url = child.stdout.readline().strip()
    finally:
        deadline.cancel()
    if not url:
        raise StartError(f"The collector did not start within {start_s:.0f} s. See its error above.")
    return url


def _stop(child: "subprocess.Popen[str]") -> None:
    """Close the lifeline, which stops the child on every system (Windows has no SIGTERM), or kill it after a while."""
    assert child.stdin is not None  # noqa: S101 — for mypy
    child.stdin.close()
    try:
        child.wait(GRACE_S + 5)
    except subprocess.TimeoutExpired:
        child.kill()
