"""The application responds as OTLP/HTTP specifies, over real HTTP to a real process; a refused body stores nothing."""

import asyncio
import gzip
import json
import sqlite3
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepchecks_telemetry.collector import report, running
from deepchecks_telemetry.collector import store as store_module
from deepchecks_telemetry.collector.errors import RequestError
from deepchecks_telemetry.collector.server import app, limits
from deepchecks_telemetry.collector.store import Store

Build = Callable[..., Any]


class Running(Protocol):
    @property
    def url(self) -> str: ...
    @property
    def store(self) -> Path: ...
    @property
    def session(self) -> requests.Session: ...
    def post(self, body: object, **headers: str) -> requests.Response: ...


def rows(collector: Running) -> int:
    return report(collector.store).rows


def compressed(request: object) -> bytes:
    return gzip.compress(json.dumps(request).encode())


def test_an_accepted_request_is_stored_before_the_response(
    collector: Running, record: Build, request_of: Build
) -> None:
    before = rows(collector)
    response = collector.post(request_of(record(), record("run-suite")))
    assert (response.status_code, response.json()) == (200, {})
    assert response.headers["Content-Type"] == "application/json"
    assert rows(collector) == before + 2


def test_gzip_is_accepted(collector: Running, record: Build, request_of: Build) -> None:
    before = rows(collector)
    parts = json.dumps(request_of(record())).encode()
    members = gzip.compress(parts[:50]) + gzip.compress(parts[50:])  # RFC 1952 allows several members
    assert collector.post(members, content_encoding="gzip").json() == {}
    assert rows(collector) == before + 1


def test_a_retry_succeeds_and_is_counted_once(collector: Running, record: Build, request_of: Build) -> None:
    request = request_of(record())
    before = rows(collector)
    assert [collector.post(request).json() for _ in range(3)] == [{}, {}, {}]
    assert rows(collector) == before + 1


def test_an_unknown_record_is_reported_as_partial_success(collector: Running, record: Build, request_of: Build) -> None:
    before = rows(collector)
    response = collector.post(request_of({**record(), "eventName": "other"}, record()))
    message = "resourceLogs[0], log record 0: eventName is not in the catalogue"
    assert response.status_code == 200
    assert response.json() == {"partialSuccess": {"rejectedLogRecords": "1", "errorMessage": message}}
    assert rows(collector) == before + 1


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"<html>", {}, 400),
        (b"[]", {}, 400),
        (b"{}", {"content_encoding": "gzip"}, 400),
        (gzip.compress(b"{}", mtime=0)[:-4], {"content_encoding": "gzip"}, 400),
        (gzip.compress(b"{}", mtime=0)[:10] + b"\xff" * 20, {"content_encoding": "gzip"}, 400),
        (gzip.compress(b"{}", mtime=0), {}, 400),
        (b" " * (limits.MAX_BODY_BYTES + 1), {}, 413),
        (b" " * (8 * limits.MAX_BODY_BYTES), {}, 413),
        (gzip.compress(b" " * (limits.MAX_EXPANDED_BYTES + 1), mtime=0), {"content_encoding": "gzip"}, 413),
        (b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}' + b",{}" * 10_000 + b"]}]}]}", {}, 413),
        (b"{}", {"content_type": "text/plain"}, 415),
        (b"{}", {"content_type": ""}, 415),
        (b"{}", {"content_encoding": "br"}, 415),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_refused_body_gets_a_status_and_stores_nothing(
    collector: Running, body: bytes, headers: dict[str, str], status: int
) -> None:
    before = rows(collector)
    response = collector.post(body, **headers)
    assert response.status_code == status
    assert response.json()["message"]
    assert isinstance(response.json()["code"], int)
    assert rows(collector) == before


def test_a_gzip_bomb_is_not_decompressed_beyond_the_limit() -> None:
    bomb = gzip.compress(bytes(8 * limits.MAX_EXPANDED_BYTES))
    tracemalloc.start()
    try:
        with pytest.raises(RequestError):
            limits.decompress(bomb)
        assert tracemalloc.get_traced_memory()[1] < 4 * limits.MAX_EXPANDED_BYTES
    finally:
        tracemalloc.stop()


def test_a_body_within_the_limits_is_accepted(collector: Running) -> None:
    assert collector.post(b"{}".ljust(limits.MAX_BODY_BYTES)).status_code == 200
    full = gzip.compress(b"{}".ljust(limits.MAX_EXPANDED_BYTES))
    assert collector.post(full, content_encoding="gzip").status_code == 200


def test_a_body_without_a_length_is_limited_too(collector: Running) -> None:
    chunks: Iterator[bytes] = iter([b" " * 2**20] * 6)
    response = collector.session.post(
        f"{collector.url}/v1/logs", data=chunks, headers={"Content-Type": "application/json"}, timeout=20
    )
    assert response.status_code == 413


def test_the_response_to_an_unsupported_coding_names_the_supported_one(collector: Running) -> None:
    assert collector.post(b"{}", content_encoding="zstd").headers["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/logs", 405), ("PUT", "/v1/logs", 405), ("POST", "/v1/traces", 404), ("POST", "/v1/logs/", 404)],
)
def test_other_paths_and_methods_get_a_status(collector: Running, method: str, path: str, status: int) -> None:
    response = collector.session.request(method, collector.url + path, json={}, timeout=20, allow_redirects=False)
    assert response.status_code == status
    assert "POST to /v1/logs" in response.json()["message"]
    assert response.headers.get("Allow") == ("POST" if status == 405 else None)


def test_healthz_reports_ok(collector: Running) -> None:
    assert collector.session.get(f"{collector.url}/healthz", timeout=20).json() == {"status": "ok"}


def test_nothing_about_the_sender_is_stored(collector: Running, record: Build, request_of: Build) -> None:
    assert collector.post(request_of(record()), x_forwarded_for="203.0.113.7", user_agent="acme/7").status_code == 200
    for file in collector.store.parent.iterdir():
        content = file.read_bytes()
        assert not any(trace in content for trace in (b"127.0.0.1", b"203.0.113.7", b"acme")), file


@given(
    body=st.binary(max_size=100)
    | st.sampled_from([b'{"resourceLogs":[', b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":1}]}]}]}'])
    | st.text(max_size=50).map(lambda text: json.dumps({"resourceLogs": [text]}).encode()),
    pack=st.sampled_from([None, gzip.compress, zlib.compress]),
    coding=st.sampled_from(["gzip", "identity"]),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_random_body_causes_a_server_error_or_a_row(
    collector: Running, body: bytes, pack: Callable[[bytes], bytes] | None, coding: str
) -> None:
    before = rows(collector)
    response = collector.post(pack(body) if pack else body, content_encoding=coding)
    assert response.status_code in (200, 400)
    assert isinstance(response.json(), dict)
    assert rows(collector) == before


Message = MutableMapping[str, Any]


def call_application(store: Store, receive: Callable[[], Any]) -> list[Message]:
    """The messages that the application sends if `receive` delivers the body: for cases that HTTP cannot produce."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/logs",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    asyncio.run(app.application(store)(scope, receive, send))
    return sent


def test_a_body_that_does_not_arrive_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_DEADLINE_S", 0.01)

    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    with closing(Store(tmp_path / "store.db")) as store:
        start = call_application(store, never)[0]
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]


def test_if_the_store_cannot_be_written_the_sender_is_asked_to_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Build, request_of: Build
) -> None:
    monkeypatch.setattr(store_module, "BUSY_S", 0.01)
    path = tmp_path / "store.db"

    async def complete() -> Message:
        return {"type": "http.request", "body": json.dumps(request_of(record())).encode(), "more_body": False}

    with closing(Store(path)) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            start, body = call_application(store, complete)
        assert call_application(store, complete)[0]["status"] == 200
    assert start["status"] == 503
    assert (b"retry-after", b"30") in start["headers"]
    assert json.loads(body["body"]) == {"code": 14, "message": "The store cannot be written now."}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no file that is open")
def test_a_store_that_was_removed_acknowledges_nothing(tmp_path: Path, record: Build, request_of: Build) -> None:
    with running(tmp_path / "store.db") as url, requests.Session() as session:
        session.trust_env = False

        def posted() -> requests.Response:
            return session.post(f"{url}/v1/logs", json=request_of(record()), timeout=20)

        assert posted().status_code == 200
        assert session.get(f"{url}/healthz", timeout=20).status_code == 200
        (tmp_path / "store.db").rename(tmp_path / "moved.db")
        refused = [posted() for _ in range(2)]
        (tmp_path / "store.db").touch()
        refused.append(posted())
        assert [(response.status_code, response.headers["Retry-After"]) for response in refused] == [(503, "30")] * 3
        assert session.get(f"{url}/healthz", timeout=20).status_code == 503
