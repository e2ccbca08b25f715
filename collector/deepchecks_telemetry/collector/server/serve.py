"""A collector that is announced can be posted to, and one that is stopped has answered what it had taken."""

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
TOKEN_VARIABLE = "DEEPCHECKS_COLLECTOR_TOKEN"  # noqa: S105 — the name, no token
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
) -> None:
    """Receive until SIGTERM or SIGINT, or until the file descriptor `lifeline` ends; call it from the main thread.

    `announce` gets the base URL as soon as it can be posted to; with port 0 the system chooses a free one. With a
    `token`, only who sends it as a bearer token may post.
    """
    _check_token(token)
    with closing(Store(store)) as opened, _listening(host, port) as listener:
        server = _server(opened, token)
        with _stopped_by_signals(server):
            if lifeline is not None:
                threading.Thread(target=_stop_at_end, args=(lifeline, server), daemon=True).start()
            announce(_url(listener))
            server.run(sockets=[listener])


@contextmanager
def running(store: Path, *, start_s: float = START_S) -> Iterator[str]:
    """Run a collector in a child process on a free loopback port; its base URL is good until the block, or we, end."""
    command = [
        sys.executable,
        "-m",
        "deepchecks_telemetry.collector",
        "--store",
        str(store),
        "--port",
        "0",
        "--lifeline",
    ]
    # What lies in the current folder must not stand in for a module.
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True, encoding="utf-8"
    ) as child:
        try:
            yield _announced(child, start_s)
        finally:
            _end(child)


def _check_token(token: str | None) -> None:
    # An empty one, from a variable that was not set, would let everybody in or nobody.
    if token is not None and not (token.isascii() and token.isprintable() and token == token.strip() != ""):
        raise StartError(
            "The token is empty or has characters that an HTTP header cannot contain. Use letters and digits."
        )


def _server(store: Store, token: str | None) -> "uvicorn.Server":
    try:
        import uvicorn

        from deepchecks_telemetry.collector.server.app import application
        from deepchecks_telemetry.collector.server.slow_clients import Connection
    except ImportError as error:
        what_to_do = "Run: pip install 'deepchecks-telemetry[collector]'"
        raise StartError(f"The optional dependencies of the collector are not installed. {what_to_do}") from error
    return uvicorn.Server(
        uvicorn.Config(
            application(store, token=token),
            # The one pair that is always installed and tested, whatever else is there.
            http=Connection,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,  # it would name the sender's address
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
    )


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """Listen before the server runs: who connects in between waits in the backlog."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if not 0 <= port <= 65_535:
        raise StartError(f"{port} is not a valid port. Choose one from 0 to 65535 with --port.")
    try:
        listener = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise StartError(f"Cannot listen on {host}, port {port} ({error}). Choose another with --port.") from error
    with listener:
        yield listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _stopped_by_signals(server: "uvicorn.Server") -> Iterator[None]:
    """Uvicorn catches a signal only while it runs, and raises it again at its end: this one hears both and returns."""

    def stop(_: int, __: FrameType | None) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop_at_end(lifeline: int, server: "uvicorn.Server") -> None:
    # Not through sys.stdin: a thread that waits there holds its lock, and the interpreter's exit aborts on it.
    while os.read(lifeline, 4096):
        pass
    server.should_exit = True


def _announced(child: "subprocess.Popen[str]", start_s: float) -> str:
    """Read the URL that the child says; killed at the deadline, it says nothing and the pipe ends."""
    assert child.stdout is not None  # noqa: S101 — it was asked for
    deadline = threading.Timer(start_s, child.kill)
    deadline.start()
    try:
        url = child.stdout.readline().strip()
    finally:
        deadline.cancel()
    if not url:
        raise StartError(f"The collector did not start within {start_s:.0f} s. See its error above.")
    return url


def _end(child: "subprocess.Popen[str]") -> None:
    """Cut the lifeline, which every system has (Windows knows no SIGTERM), and kill what does not hear it."""
    assert child.stdin is not None  # noqa: S101 — it was asked for
    child.stdin.close()
    try:
        child.wait(GRACE_S + 5)
    except subprocess.TimeoutExpired:
        child.kill()
