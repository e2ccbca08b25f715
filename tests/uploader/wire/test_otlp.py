"""The body of a batch is valid OTLP by its specification and protobuf's JSON mapping, and within the catalogue."""

import json
import re
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepchecks_telemetry.spool.batches.seal import MAX_ROWS, Row
from deepchecks_telemetry.spool.catalogue import EVENTS, FIELDS, OS_NAMES, OS_TYPES, PYTHON_NAMES, RUNTIMES, Environment
from deepchecks_telemetry.uploader.flush import seal_next
from deepchecks_telemetry.uploader.wire.otlp import render

if TYPE_CHECKING:
    from deepchecks_telemetry.spool.files.paths import Home

INSTALLATION = "0b6ee9b4-1f59-4a0e-9f0e-3f0c5a1c7c11"
DEBIAN = Environment("0.19.1", "linux", "debian", "12", "cpython", "3.11", "script")
WINDOWS = Environment("0.18.0rc1", "windows", "windows", "11", "cpython", "3.10", "jupyter")
ROWS = [
    Row("11111111-1111-4111-8111-111111111111", 20_000, "run-check", DEBIAN, 35),
    Row("22222222-2222-4222-8222-222222222222", 20_001, "package-import", DEBIAN, 1),
    Row("33333333-3333-4333-8333-333333333333", 20_001, "suite-to-wandb", WINDOWS, 2**40),
]


def text(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def log_record(uid: str, count: str, event: str, nanoseconds: str) -> dict[str, Any]:
    attributes = [text("log.record.uid", uid), {"key": "deepchecks.event.count", "value": {"intValue": count}}]
    return {"attributes": attributes, "eventName": event, "timeUnixNano": nanoseconds}


def resource_logs(values: dict[str, str], *records: dict[str, Any]) -> dict[str, Any]:
    attributes = {"service.name": "deepchecks", "app.installation.id": INSTALLATION, **values}
    scope = {"name": "deepchecks_telemetry", "version": version("deepchecks-telemetry")}
    return {
        "scopeLogs": [{"logRecords": list(records), "scope": scope}],
        "resource": {"attributes": [text(key, value) for key, value in attributes.items()]},
    }


def test_the_body_of_known_rows_is_exactly_this() -> None:
    debian = {
        "service.version": "0.19.1",
        "os.type": "linux",
        "os.name": "debian",
        "os.version": "12",
        "process.runtime.name": "cpython",
        "process.runtime.version": "3.11",
        "deepchecks.runtime": "script",
    }
    windows = {
        "service.version": "0.18.0rc1",
        "os.type": "windows",
        "os.name": "windows",
        "os.version": "11",
        "process.runtime.name": "cpython",
        "process.runtime.version": "3.10",
        "deepchecks.runtime": "jupyter",
    }
    first, second, third = ROWS
    assert json.loads(render(INSTALLATION, ROWS)) == {
        "resourceLogs": [
            resource_logs(
                debian,
                log_record(first.uid, "35", "deepchecks.run-check", "1728000000000000000"),
                log_record(second.uid, "1", "deepchecks.package-import", "1728086400000000000"),
            ),
            resource_logs(
                windows, log_record(third.uid, "1099511627776", "deepchecks.suite-to-wandb", "1728086400000000000")
            ),
        ]
    }


def test_a_body_is_one_line_of_ascii_with_a_uid_in_its_first_1000_bytes() -> None:
    body = render(INSTALLATION, ROWS)
    assert body.isascii()
    assert b"\n" not in body
    assert ROWS[0].uid.encode() in body[:1000]
    assert body == render(INSTALLATION, iter(ROWS))


def longest(field_values: "list[str] | tuple[str, ...]") -> str:
    return max(field_values, key=len)


def test_the_largest_batch_of_the_longest_values_is_less_than_one_mebibyte() -> None:
    environments = [
        Environment(
            f"1234.12345.12345.{number:05}rc123.post123.dev123456",
            longest(OS_TYPES),
            longest(OS_NAMES),
            "12345.123",
            longest(PYTHON_NAMES),
            "12.123",
            longest(RUNTIMES),
        )
        for number in range(MAX_ROWS)
    ]
    for environment in environments:
        assert all(field.allows(value) for field, value in zip(FIELDS, environment, strict=True))
    event = longest([event.name for event in EVENTS])
    rows = [
        Row(f"{n:08}-2222-4222-8222-222222222222", 20_000, event, environment, 2**63 - 1)
        for n, environment in enumerate(environments)
    ]
    assert len(render(INSTALLATION, rows)) < 2**20


@given(
    st.lists(
        st.builds(
            Row,
            st.uuids().map(str),
            st.integers(0, 40_000),
            st.sampled_from([event.name for event in EVENTS]),
            st.sampled_from([DEBIAN, WINDOWS]),
            st.integers(1, 2**62),
        ),
        max_size=8,
    )
)
def test_every_row_is_in_the_body_once_in_its_order_with_its_environment(rows: list[Row]) -> None:
    records = [
        (
            {item["key"]: item["value"]["stringValue"] for item in resource["resource"]["attributes"]}["os.type"],
            record["attributes"][0]["value"]["stringValue"],
            int(record["attributes"][1]["value"]["intValue"]),
            int(record["timeUnixNano"]),
            record["eventName"],
        )
        for resource in json.loads(render(INSTALLATION, rows))["resourceLogs"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
    ]
    assert records == [
        (row.environment.os_type, row.uid, row.count, row.day * 86_400 * 10**9, f"deepchecks.{row.event}")
        for row in rows
    ]


def test_a_sealed_batch_contains_only_values_of_the_catalogue(spool: "Home") -> None:
    batch = seal_next(spool)
    assert batch is not None
    allows = {field.wire: field.allows for field in FIELDS}
    (resource,) = json.loads(batch.body)["resourceLogs"]
    values = {item["key"]: item["value"]["stringValue"] for item in resource["resource"]["attributes"]}
    assert values.pop("service.name") == "deepchecks"
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", values.pop("app.installation.id")
    )
    assert set(values) == set(allows)
    assert [name for name, value in values.items() if not allows[name](value)] == []


@pytest.mark.real
def test_the_official_protobuf_classes_parse_every_field_of_a_body(spool: "Home") -> None:
    sealed = seal_next(spool)
    assert sealed is not None
    service = import_module("opentelemetry.proto.collector.logs.v1.logs_service_pb2")
    json_format = import_module("google.protobuf.json_format")
    for body, rows in ((sealed.body, 2), (render(INSTALLATION, ROWS), 3), (render(INSTALLATION, []), 0)):
        request = json_format.Parse(body, service.ExportLogsServiceRequest(), ignore_unknown_fields=False)
        records = [
            record for group in request.resource_logs for scope in group.scope_logs for record in scope.log_records
        ]
        assert len(records) == rows
        # Converting back gives the same JSON (apart from the order of keys), so nothing was ignored.
        assert json.loads(json_format.MessageToJson(request)) == ({} if not rows else json.loads(body))
    request = json_format.Parse(render(INSTALLATION, ROWS), service.ExportLogsServiceRequest())
    record = request.resource_logs[0].scope_logs[0].log_records[0]
    assert (record.time_unix_nano, record.event_name) == (1_728_000_000 * 10**9, "deepchecks.run-check")
    assert record.attributes[1].value.int_value == 35
