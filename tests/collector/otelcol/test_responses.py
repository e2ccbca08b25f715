"""What the real Collector answers when it refuses, and what the client makes of it."""

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import requests

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.flush import flush
from deepchecks_telemetry.uploader.wire.http import post
from deepchecks_telemetry.uploader.wire.outcome import DELIVERED, PARKED, REJECTED, RETRY, Outcome, Response, classify

if TYPE_CHECKING:
    from tests.collector.otelcol.conftest import Otelcol

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]
NOBODY = "http://127.0.0.1:9"  # nothing listens on the discard port
WITHOUT_QUEUE = {"sending_queue": {"enabled": False}, "retry_on_failure": {"enabled": False}}
Change = Callable[..., dict[str, Any]]
Start = Callable[..., "Otelcol"]


def flush_one(url: str) -> tuple[Response, Outcome]:
    """Record one event, send it with the real uploader, and return the response and its outcome."""
    taken: list[Response] = []
    assert record("run-check")

    def noting(endpoint: Endpoint, packed: bytes) -> Response:
        taken.append(post(endpoint, packed, deadline_s=20))
        return taken[-1]

    (attempt,) = flush(find_home(), Endpoint(f"{url}/v1/logs", "a test"), post=noting)
    assert read_accounts(find_home()).balance == 0
    return taken[-1], attempt.outcome


@pytest.fixture
def sink() -> Iterator[Callable[..., str]]:
    """Starts a receiver behind the Collector that gives always the same response; returns its URL."""
    servers: list[ThreadingHTTPServer] = []

    def serve(status: int, body: bytes = b"", **headers: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.01}).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_batch_in_the_queue_is_delivered_although_the_sink_is_down(start: Start, to_sink: Change) -> None:
    response, outcome = flush_one(start(**to_sink(NOBODY)).url)
    assert (response.status, response.body, outcome.kind) == (200, b'{"partialSuccess":{}}', DELIVERED)


def test_a_collector_short_of_memory_is_tried_again(start: Start, to_sink: Change) -> None:
    """The Collector sends no Retry-After, so the client's back-off decides."""
    limit = {"check_interval": "10ms", "limit_mib": 1, "spike_limit_mib": 0}
    collector = start(**to_sink(NOBODY), processors={"memory_limiter": limit})
    response, outcome = flush_one(collector.url)
    assert (response.status, outcome.kind, outcome.retry_after_s) == (503, RETRY, None)
    assert b"data refused due to high memory usage" in response.body


def test_a_full_queue_is_tried_again(start: Start, to_sink: Change) -> None:
    changes = to_sink(NOBODY)
    queue = changes["exporters"]["otlp_http"]["sending_queue"]
    queue |= {"queue_size": 1, "batch": {"min_size": 1, "max_size": 1}}
    collector = start(**changes)
    assert flush_one(collector.url)[1].kind == DELIVERED
    response, outcome = flush_one(collector.url)
    assert (response.status, outcome.kind, outcome.retry_after_s) == (503, RETRY, None)
    assert b"sending queue is full" in response.body


def test_a_body_above_the_limit_is_parked_and_not_rejected(start: Start, to_sink: Change) -> None:
    """The Collector says 400 with an OTLP Status, which would be final, but its limit is a setting."""
    small = {"otlp": {"protocols": {"http": {"max_request_body_size": 100}}}}
    response, outcome = flush_one(start(**to_sink(NOBODY), receivers=small).url)
    assert (response.status, outcome.kind) == (400, PARKED)
    assert outcome.reason.startswith("HTTP 413")


def test_a_damaged_request_is_refused_with_a_status_and_rejected(start: Start, to_sink: Change) -> None:
    url = f"{start(**to_sink(NOBODY)).url}/v1/logs"
    taken = requests.post(url, data=b'{"resourceLogs":', headers={"Content-Type": "application/json"}, timeout=20)
    response = Response(taken.status_code, {}, taken.content)
    assert (taken.status_code, taken.json()["code"], classify(response, now=0).kind) == (400, 3, REJECTED)


def test_another_path_is_parked(start: Start, to_sink: Change) -> None:
    response, outcome = flush_one(start(**to_sink(NOBODY)).url + "/other")
    assert (response.status, outcome.kind) == (404, PARKED)


@pytest.mark.parametrize(
    ("status", "passed_on", "kind"),
    [
        (429, 429, RETRY),
        (502, 503, RETRY),
        (503, 503, RETRY),
        (504, 503, RETRY),
        (400, 400, REJECTED),
        (401, 401, PARKED),
        (403, 403, PARKED),
        (404, 404, PARKED),
        (413, 500, PARKED),
        (500, 500, PARKED),
    ],
)
def test_without_a_queue_the_response_of_the_sink_is_passed_on(
    start: Start, to_sink: Change, sink: Callable[..., str], status: int, passed_on: int, kind: str
) -> None:
    """And its Retry-After is not."""
    collector = start(**to_sink(sink(status, Retry_After="30"), **WITHOUT_QUEUE))
    response, outcome = flush_one(collector.url)
    assert (response.status, outcome.kind, outcome.retry_after_s) == (passed_on, kind, None)


def test_without_a_queue_a_sink_that_is_down_is_tried_again(start: Start, to_sink: Change) -> None:
    response, outcome = flush_one(start(**to_sink(NOBODY, **WITHOUT_QUEUE)).url)
    assert (response.status, outcome.kind) == (503, RETRY)


def test_a_partial_success_of_the_sink_is_not_passed_on(
    start: Start, to_sink: Change, sink: Callable[..., str]
) -> None:
    """The rows that the sink has rejected count as delivered at the client; only the Collector logs them."""
    partial = bytes([0x0A, 0x02, 0x08, 0x01])  # partial_success { rejected_log_records: 1 }
    collector = start(**to_sink(sink(200, partial, Content_Type="application/x-protobuf"), **WITHOUT_QUEUE))
    response, outcome = flush_one(collector.url)
    assert (response.status, outcome.kind, outcome.rejected_rows) == (200, DELIVERED, 0)
    assert "partial success" in collector.log.read_text("utf-8").lower()
