"""Protobuf is decoded like its JSON, gets a response in protobuf, and is limited before it becomes Python objects."""

import gzip
import json
import tracemalloc
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import pytest
import requests
from google.protobuf.json_format import ParseDict
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped, unused-ignore]
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

from deepchecks_telemetry.collector import report
from deepchecks_telemetry.collector.codec import parse_protobuf
from deepchecks_telemetry.collector.errors import RequestError
from deepchecks_telemetry.collector.otlp import MAX_ATTRIBUTES, MAX_RECORDS, Decoded, parse_json, read
from deepchecks_telemetry.collector.server import limits

Build = Callable[..., Any]
TODAY = datetime.now(timezone.utc).date()
KIND = "application/x-protobuf"


class Running(Protocol):
    @property
    def store(self) -> Path: ...
    def post(self, body: object, **headers: str) -> requests.Response: ...


def message(request: dict[str, Any]) -> ExportLogsServiceRequest:
    return ParseDict(request, ExportLogsServiceRequest())


def packed(request: dict[str, Any]) -> bytes:
    return message(request).SerializeToString()


def outcome_of(body: bytes) -> Decoded | int:
    try:
        return read(parse_protobuf(body), today=TODAY)
    except RequestError as refusal:
        return refusal.status


def test_protobuf_is_stored_and_the_response_is_protobuf(collector: Running, record: Build, request_of: Build) -> None:
    before = report(collector.store).rows
    body = packed(request_of(record(), record("run-suite")))
    response = collector.post(body, content_type=KIND)
    assert (response.status_code, response.headers["Content-Type"], response.content) == (200, KIND, b"")
    assert collector.post(gzip.compress(body), content_type=KIND, content_encoding="gzip").status_code == 200
    assert report(collector.store).rows == before + 2


def test_a_partial_success_is_encoded_in_protobuf(collector: Running, record: Build, request_of: Build) -> None:
    response = collector.post(packed(request_of(record(), {**record(), "eventName": "x"})), content_type=KIND)
    partial = ExportLogsServiceResponse.FromString(response.content).partial_success
    assert (response.status_code, partial.rejected_log_records) == (200, 1)
    assert partial.error_message == "resourceLogs[0], log record 1: eventName is not in the catalogue"


@pytest.mark.parametrize(
    ("body", "coding", "status", "code"),
    [
        (b"{}", "identity", 400, 3),
        (b"\xff" * 9, "identity", 400, 3),
        (b"\x0a\x01", "gzip", 400, 3),
        (b"\x0a\x00" * (MAX_RECORDS + 1), "identity", 413, 8),
        (b"", "br", 415, 3),
    ],
)
def test_a_refusal_is_a_status_in_protobuf(
    collector: Running, body: bytes, coding: str, status: int, code: int
) -> None:
    before = report(collector.store).rows
    response = collector.post(body, content_type=KIND, content_encoding=coding)
    decoded = Status.FromString(response.content)
    assert (response.status_code, response.headers["Content-Type"], decoded.code) == (status, KIND, code)
    assert decoded.message
    assert report(collector.store).rows == before


def test_both_encodings_of_a_request_decode_to_the_same(record: Build, request_of: Build) -> None:
    with_body = {**record(), "body": {"stringValue": "hello"}}
    foreign = record()
    foreign["attributes"] = [*foreign["attributes"], {"key": "host.name", "value": {"stringValue": "box"}}]
    twice = record()
    twice["attributes"] = [*twice["attributes"], record()["attributes"][0]]
    wrong = record()
    wrong["attributes"][1]["value"] = {"doubleValue": 3.5}
    many = {**record(), "attributes": [{"key": f"k{n}", "value": {}} for n in range(MAX_ATTRIBUTES + 1)]}
    request = request_of(record(), with_body, foreign, twice, wrong, many, {**record(), "timeUnixNano": "1"})
    request["resourceLogs"] += request_of(record(), os_name="acme")["resourceLogs"]
    decoded = read(parse_json(json.dumps(request).encode()), today=TODAY)
    assert outcome_of(packed(request)) == decoded
    assert (len(decoded.rows), decoded.rejected) == (3, 5)


def nested(depth: int, count: int) -> bytes:
    """The smallest request with `count` empty messages at a depth: resource logs, scope logs or log records."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    for _ in range(count):
        if depth == 1:
            request.resource_logs.add()
        elif depth == 2:
            group.scope_logs.add()
        elif depth == 3:
            (group.scope_logs or [group.scope_logs.add()])[0].log_records.add()
    return request.SerializeToString()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_request_of_too_many_empty_messages_is_refused(depth: int) -> None:
    assert outcome_of(nested(depth, MAX_RECORDS + 1)) == 413
    assert outcome_of(nested(depth, MAX_RECORDS - 1)) != 413


def test_a_bomb_of_attributes_is_decoded_only_up_to_the_limit() -> None:
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    first = scope.log_records.add()
    for _ in range(MAX_ATTRIBUTES + 1):
        first.attributes.add()
    for _ in range(MAX_RECORDS - 1):
        scope.log_records.add().CopyFrom(first)
    body = request.SerializeToString()
    assert len(body) < limits.MAX_EXPANDED_BYTES
    tracemalloc.start()
    try:
        decoded = outcome_of(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(decoded, Decoded)
    assert decoded.rejected == MAX_RECORDS
    assert peak < 60 * 2**20


@pytest.mark.parametrize(
    "body",
    [
        b"\x0a\x00" * 500_000,  # groups
        packed({"resourceLogs": [{"resource": {"attributes": [{}] * 300_000}}]}),
    ],
    ids=["groups", "attributes"],
)
def test_a_bomb_of_empty_messages_creates_no_objects(body: bytes) -> None:
    tracemalloc.start()
    try:
        outcome_of(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20


UID = str(uuid.UUID(int=7))


@given(data=st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_changed_bytes_never_become_rows_outside_the_catalogue(
    data: st.DataObject, record: Build, request_of: Build
) -> None:
    body = bytearray(packed(request_of(record(uid=UID), record("package-import"))))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(body)))
        body[start : start + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    decoded = outcome_of(bytes(body))
    assert isinstance(decoded, Decoded) or decoded == 400
