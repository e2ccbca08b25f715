"""The real OpenTelemetry Collector with collector/fleet/otelcol.yaml, and a relay that counts what leaves it."""

import gzip
import json
import os
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from deepchecks_telemetry.collector import running

FLEET = Path(__file__).parents[3] / "collector" / "fleet"
CLICKHOUSE = {
    "CLICKHOUSE_ENDPOINT": "clickhouse://127.0.0.1:9",  # nothing listens on the discard port
    "CLICKHOUSE_USER": "writer",
    "CLICKHOUSE_PASSWORD": "secret",
}


@pytest.fixture(scope="session")
def otelcol() -> str:
    """The path of the Collector that `nox -s otelcol` has built."""
    path = os.environ.get("OTELCOL")
    if not path:
        pytest.skip("needs a Collector: `nox -s otelcol` builds one")
    return path


@pytest.fixture
def in_full(request: pytest.FixtureRequest) -> bool:
    """Whether to run the long form."""
    return bool(request.config.getoption("--long"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Otelcol:
    """A Collector with the fleet's configuration and changes to it; it can be killed and started again."""

    def __init__(self, binary: str, folder: Path, changes: dict[str, Any]) -> None:
        self.port, self.health, self.log = free_port(), free_port(), folder / "otelcol.log"
        self.url = f"http://127.0.0.1:{self.port}"
        addresses = {
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.port}"}}}},
            "extensions": {
                "health_check": {"endpoint": f"127.0.0.1:{self.health}"},
                "file_storage/queue": {"directory": str(folder / "queue")},
            },
            "service": {"telemetry": {"metrics": {"level": "none"}}},  # else it listens on port 8888
        }
        files = [FLEET / "otelcol.yaml"]
        for name, content in (("addresses", addresses), ("changes", changes)):
            files.append(folder / f"{name}.yaml")
            files[-1].write_text(json.dumps(content), "utf-8")  # JSON is YAML
        self.command = [binary, *(f"--config={file}" for file in files)]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, env={**os.environ, **CLICKHOUSE}, stderr=log, stdout=log)
        deadline = time.monotonic() + 30
        while not self.is_ready():
            assert self.process.poll() is None, self.log.read_text("utf-8")[-3000:]
            assert time.monotonic() < deadline, "the Collector did not start in time"
            time.sleep(0.01)

    def is_ready(self) -> bool:
        with socket.socket() as health, socket.socket() as port:
            return health.connect_ex(("127.0.0.1", self.health)) == 0 == port.connect_ex(("127.0.0.1", self.port))

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)


@pytest.fixture
def start(otelcol: str, tmp_path: Path) -> Iterator[Callable[..., Otelcol]]:
    """Starts Collectors with changes to the fleet's configuration."""
    started: list[Otelcol] = []

    def run(**changes: Any) -> Otelcol:
        folder = tmp_path / f"otelcol{len(started)}"
        folder.mkdir(exist_ok=True)
        started.append(Otelcol(otelcol, folder, changes))
        started[-1].start()
        return started[-1]

    yield run
    for collector in started:
        if collector.process is not None and collector.process.poll() is None:
            collector.kill()


@pytest.fixture
def to_sink() -> Callable[..., dict[str, Any]]:
    """Changes of the configuration: instead of ClickHouse the rows go to a URL, through the same queue on disk."""

    def change(url: str, **settings: Any) -> dict[str, Any]:
        batch = {"min_size": 200, "max_size": 5_000, "flush_timeout": "50ms"}
        queue = {"storage": "file_storage/queue", "sizer": "items", "queue_size": 20_000_000, "batch": batch}
        # 60 s between two tries become 10 ms: the two days for which a sink is away become half a minute.
        retry = {"initial_interval": "5ms", "max_interval": "10ms", "max_elapsed_time": "0"}
        exporter = {"endpoint": url, "sending_queue": queue, "retry_on_failure": retry, **settings}
        return {"exporters": {"otlp_http": exporter}, "service": {"pipelines": {"logs": {"exporters": ["otlp_http"]}}}}

    return change


class Relay(ThreadingHTTPServer):
    """Counts the rows that the Collector sends and passes them to the embedded collector; can be away."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url, self.target = f"http://127.0.0.1:{self.server_port}", target
        self.away = self.lose_responses = False
        self.refused, self.seen = 0, Counter[str]()
        self.guard = threading.Lock()

    @property
    def duplicates(self) -> int:
        return self.seen.total() - len(self.seen)


class _Handler(BaseHTTPRequestHandler):
    server: Relay
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if len(body) < int(self.headers["Content-Length"]):
            return None  # the Collector was killed while sending
        if self.server.away:
            with self.server.guard:
                self.server.refused += 1
            return self.respond(503, b"")
        headers = {name: self.headers[name] for name in ("Content-Type", "Content-Encoding") if name in self.headers}
        taken = requests.post(f"{self.server.target}/v1/logs", data=body, headers=headers, timeout=30)
        assert taken.status_code == 200
        assert ExportLogsServiceResponse.FromString(taken.content).partial_success.rejected_log_records == 0
        with self.server.guard:
            self.server.seen.update(uids(body, self.headers.get("Content-Encoding")))
        if self.server.lose_responses and len(self.server.seen) % 3 == 0:
            self.close_connection = True
            return None
        return self.respond(200, taken.content)

    def respond(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def handle(self) -> None:
        with suppress(OSError):  # the Collector was killed
            super().handle()


def uids(body: bytes, encoding: str | None) -> list[str]:
    """The uids of a request in protobuf, parsed independently of the code under test."""
    request = ExportLogsServiceRequest.FromString(gzip.decompress(body) if encoding == "gzip" else body)
    records = (r for group in request.resource_logs for scope in group.scope_logs for r in scope.log_records)
    return [pair.value.string_value for r in records for pair in r.attributes if pair.key == "log.record.uid"]


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def relay(store: Path) -> Iterator[Relay]:
    """A relay to our embedded collector."""
    with running(store) as url:
        server = Relay(url)
        with serving(server):
            yield server
