"""What `collector serve` prints: its URL and store, a warning without a token, and a log without addresses if asked."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

Build = Callable[..., Any]
COMMAND = [sys.executable, "-m", "deepchecks_telemetry.cli", "telemetry", "collector", "serve", "--port", "0"]
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (.+) \d+ ms")


class Served(NamedTuple):
    """A running command, its URL, the line with its store, and its standard error until it is stopped."""

    child: "subprocess.Popen[str]"
    url: str
    store: str

    def stopped(self) -> str:
        self.child.send_signal(signal.SIGTERM)
        _, err = self.child.communicate(timeout=20)
        assert self.child.returncode == 0
        return err


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts `collector serve` in the directory of the test."""
    children: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **variables: str) -> Served:
        pipe, environ = subprocess.PIPE, {**os.environ, **variables}
        child = subprocess.Popen([*COMMAND, *arguments], stdout=pipe, stderr=pipe, text=True, cwd=tmp_path, env=environ)
        children.append(child)
        assert child.stdout is not None
        first, second = child.stdout.readline(), child.stdout.readline()
        return Served(child, first.removeprefix("Listening on ").strip(), second.strip())

    yield start
    for child in children:
        with child:
            child.kill()


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal that stops a process cleanly")


def test_the_address_and_the_store_are_printed_and_requests_are_not_logged(serve: Serve, tmp_path: Path) -> None:
    served = serve("--store", "counts.db")
    assert served.url.startswith("http://127.0.0.1:")
    assert served.store == f"Storing in {tmp_path / 'counts.db'}"
    assert requests.get(f"{served.url}/healthz", timeout=20).status_code == 200
    assert served.stopped() == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_without_a_token_a_warning_is_printed_unless_the_address_is_loopback(serve: Serve, host: str) -> None:
    err = serve("--host", host).stopped()
    warning = "Warning: 0.0.0.0 is not a loopback address, and no token is set: other machines can add counts."
    assert err == ("" if host != "0.0.0.0" else f"{warning} Set DEEPCHECKS_COLLECTOR_TOKEN.\n")
    assert serve("--host", host, DEEPCHECKS_COLLECTOR_TOKEN="secret").stopped() == ""


def test_a_line_of_the_log_says_what_was_asked_and_nothing_about_the_sender(
    serve: Serve, record: Build, request_of: Build
) -> None:
    served = serve("--log-requests", "--token", "secret")
    body = json.dumps(request_of(record()))
    headers = {"Content-Type": "application/json", "X-Forwarded-For": "203.0.113.9", "User-Agent": "Jane's laptop"}
    with requests.Session() as session:
        session.headers.update(headers)
        assert session.get(f"{served.url}/healthz?name=jane").status_code == 200
        assert session.post(f"{served.url}/v1/logs", data=body).status_code == 401
        session.headers["Authorization"] = "Bearer secret"
        assert session.post(f"{served.url}/v1/logs", data=body).status_code == 200
        assert session.post(f"{served.url}/v1/l\n" + "x" * 300, data="?").status_code == 404
    lines = [LINE.fullmatch(line) for line in served.stopped().splitlines()]
    assert [line and line[1] for line in lines] == [
        "GET /healthz 200 0 bytes",
        "POST /v1/logs 401 0 bytes",
        f"POST /v1/logs 200 {len(body)} bytes",
        f"POST {'/v1/l%0A'.ljust(200, 'x')} 404 0 bytes",
    ]


def test_a_log_that_cannot_be_written_fails_no_request(serve: Serve, record: Build, request_of: Build) -> None:
    served = serve("--log-requests")
    assert served.child.stderr is not None
    served.child.stderr.close()
    for _ in range(3):
        done = requests.post(f"{served.url}/v1/logs", json=request_of(record()), timeout=20)
        assert (done.status_code, done.json()) == (200, {})
    served.child.terminate()
    assert served.child.wait(20) == 0
