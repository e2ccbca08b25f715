"""Fuzzing: the collector responds to any request as OTLP specifies, and stores nothing of a refused body."""

import gzip
import http.client
import json
import sqlite3
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from deepchecks_telemetry.collector import running
from deepchecks_telemetry.collector.codec import parse_protobuf
from deepchecks_telemetry.collector.errors import RequestError
from deepchecks_telemetry.collector.otlp import Decoded, parse_json, read
from deepchecks_telemetry.spool.catalogue import EVENT_NUMBERS, FIELDS, is_allowed

pytestmark = pytest.mark.timeout(3600)
DECODED, DECODED_IN_FULL = 150, 45_000  # of each encoding
POSTED, POSTED_IN_FULL = 80, 12_000
TODAY = datetime.now(timezone.utc).date()
VALUES = ("0.19.1", "linux", "debian", "12", "cpython", "3.11", "script")
JSON_VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(sorted(EVENT_NUMBERS)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def text(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def valid() -> dict[str, Any]:
    record = {
        "timeUnixNano": str((TODAY.toordinal() - 719_163) * 86_400 * 10**9),
        "eventName": "deepchecks.run-check",
        "attributes": [
            text("log.record.uid", str(uuid.UUID(int=7))),
            {"key": "deepchecks.event.count", "value": {"intValue": "3"}},
        ],
    }
    fields = [text(field.wire, value) for field, value in zip(FIELDS, VALUES, strict=True)]
    known = [text("service.name", "deepchecks"), text("app.installation.id", str(uuid.UUID(int=1)))]
    group = {"resource": {"attributes": [*known, *fields]}, "scopeLogs": [{"logRecords": [record, record]}]}
    return {"resourceLogs": [group, group]}


REQUEST = valid()
AS_JSON = json.dumps(REQUEST).encode()
AS_PROTOBUF = ParseDict(REQUEST, ExportLogsServiceRequest()).SerializeToString()


def changed(body: bytes) -> st.SearchStrategy[bytes]:
    """The bytes with up to three parts replaced by other bytes."""
    position = st.integers(0, len(body))
    same_length = st.tuples(position, st.binary(min_size=1, max_size=4)).map(lambda new: (new[0], len(new[1]), new[1]))
    cut = same_length | st.tuples(position, st.integers(0, 12), st.binary(max_size=12))

    def apply(cuts: list[tuple[int, int, bytes]]) -> bytes:
        result = bytearray(body)
        for start, length, new in cuts:
            result[start : start + length] = new
        return bytes(result)

    return st.lists(cut, max_size=3).map(apply)


@st.composite
def rebuilt(draw: st.DrawFn) -> bytes:
    """The request with one value replaced at any position."""

    def walk(value: Any) -> Any:
        if draw(st.integers(0, 6)) == 0 or not isinstance(value, dict | list) or not value:
            return draw(JSON_VALUE)
        if isinstance(value, dict):
            key = draw(st.sampled_from(sorted(value)))
            return {**value, key: walk(value[key])}
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], walk(value[index]), *value[index + 1 :]]

    return json.dumps(walk(REQUEST)).encode()


IN_JSON = st.one_of(rebuilt(), changed(AS_JSON), st.binary(max_size=64))
IN_PROTOBUF = st.one_of(changed(AS_PROTOBUF), st.binary(max_size=64))


def bounded(examples: int) -> settings:
    return settings(
        max_examples=examples,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def is_in_catalogue(decoded: Decoded) -> bool:
    return all(row.event in EVENT_NUMBERS and is_allowed(row.environment) and row.count > 0 for row in decoded.rows)


@pytest.mark.parametrize(("parse", "bodies"), [(parse_json, IN_JSON), (parse_protobuf, IN_PROTOBUF)])
def test_no_body_breaks_the_decoder(
    in_full: bool, parse: Callable[[bytes], object], bodies: st.SearchStrategy[bytes]
) -> None:
    outcomes: Counter[str] = Counter()

    @bounded(DECODED_IN_FULL if in_full else DECODED)
    @example(AS_JSON if parse is parse_json else AS_PROTOBUF)
    @example(b"\xff")
    @given(bodies)
    def decode(body: bytes) -> None:
        try:
            decoded = read(parse(body), today=TODAY)
        except RequestError as refusal:
            outcomes[f"refused with {refusal.status}"] += 1
        else:
            assert is_in_catalogue(decoded)
            outcomes["rows" if decoded.rows else "no rows"] += 1

    decode()
    assert {"refused with 400", "rows"} <= set(outcomes) <= {"refused with 400", "refused with 413", "rows", "no rows"}
    print(f"\n{parse.__name__}: {outcomes.total()} bodies, {dict(outcomes)}")


@pytest.fixture
def running_collector(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    with running(tmp_path / "store.db") as url:
        yield urlsplit(url).netloc, tmp_path / "store.db"


def test_no_request_breaks_the_endpoint(in_full: bool, running_collector: tuple[str, Path]) -> None:
    address, store = running_collector
    statuses: Counter[int] = Counter()
    with closing(sqlite3.connect(store)) as stored, closing(http.client.HTTPConnection(address, timeout=20)) as client:

        @bounded(POSTED_IN_FULL if in_full else POSTED)
        @example(AS_JSON, "application/json", "identity", True, "/v1/logs")
        @example(AS_JSON, "text/plain", "identity", True, "/v1/logs")
        @example(b"{", "application/json", "identity", True, "/v1/logs")
        @given(
            st.one_of(IN_JSON, IN_PROTOBUF),
            st.sampled_from(["application/json", "application/x-protobuf; a=b", "text/plain", "\xff"]),
            st.sampled_from(["identity", "gzip", "br", ""]),
            st.booleans(),
            st.sampled_from(["/v1/logs"] * 6 + ["/", "/v1/%ff", "/healthz?a", "//"]),
        )
        def post(body: bytes, kind: str, coding: str, honest: bool, path: str) -> None:
            before = stored.execute("SELECT count(*) FROM rows").fetchone()
            sent = gzip.compress(body, 1) if honest and coding == "gzip" else body
            client.request("POST", path, sent, {"Content-Type": kind, "Content-Encoding": coding})
            response = client.getresponse()
            content = response.read()
            assert response.status in (200, 400, 404, 405, 413, 415)
            if response.getheader("Content-Type") == "application/json":
                assert isinstance(json.loads(content), dict)
            if response.status != 200:
                assert stored.execute("SELECT count(*) FROM rows").fetchone() == before
            statuses[response.status] += 1

        post()
        client.request("GET", "/healthz")
        assert client.getresponse().status == 200
        rows = stored.execute(f"SELECT event, {', '.join(field.name for field in FIELDS)} FROM rows").fetchall()
    assert {200, 400, 415} <= set(statuses)
    assert rows
    assert all(event in EVENT_NUMBERS and is_allowed(tuple(environment)) for event, *environment in rows)
    print(f"\nendpoint: {statuses.total()} requests, {dict(statuses)}")
