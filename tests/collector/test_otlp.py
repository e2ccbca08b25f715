"""The decoder accepts only rows of the catalogue, names the position of what it refused, and raises no other error."""

import json
import uuid
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepchecks_telemetry.collector.errors import RequestError
from deepchecks_telemetry.collector.otlp import MAX_AGE, MAX_COUNT, MAX_RECORDS, Decoded, Row, parse_json, read
from deepchecks_telemetry.spool.catalogue import EVENT_NUMBERS, Environment, is_allowed

TODAY = datetime.now(timezone.utc).date()
UID = "7a1b0f6e-52d3-4a39-8a0e-1f8b4a7f0d55"
SECRET = "alice@example.org"

Build = Callable[..., Any]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
    max_leaves=8,
)


def decode(request: object, today: date = TODAY) -> Decoded:
    return read(parse_json(json.dumps(request).encode()), today=today)


def outcome_of(body: bytes) -> Decoded | int:
    """The decoded body, or the status with which it is refused."""
    try:
        return read(parse_json(body), today=TODAY)
    except RequestError as refusal:
        return refusal.status


def attribute(record: dict[str, Any], key: str) -> dict[str, Any]:
    return next(pair["value"] for pair in record["attributes"] if pair["key"] == key)


def nanoseconds(day: date) -> str:
    return str((day - date(1970, 1, 1)).days * 86_400 * 10**9)


def test_our_own_request_becomes_rows_of_the_catalogue(record: Build, request_of: Build) -> None:
    decoded = decode(request_of(record("run-suite", "3", days_ago=2, uid=UID)))
    environment = Environment("0.19.1", "linux", "debian", "12", "cpython", "3.11", "script")
    day = (TODAY - timedelta(days=2)).isoformat()
    row = Row(UID, day, "run-suite", 3, environment, "0b6ee9b4-1f59-4a0e-9f0e-3f0c5a1c7c11")
    assert decoded == Decoded((row,), 0, "")


@pytest.mark.parametrize("count", ["35", 35, 35.0])
def test_an_int64_is_read_as_a_string_and_as_a_number(record: Build, request_of: Build, count: object) -> None:
    changed = record(count=count)
    changed["timeUnixNano"] = int(changed["timeUnixNano"])
    assert [row.count for row in decode(request_of(changed)).rows] == [35]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("eventName", "deepchecks.run"),
        ("eventName", "run-check"),
        ("eventName", None),
        ("timeUnixNano", "1763942400000000001"),
        ("timeUnixNano", "0"),
        ("timeUnixNano", True),
        ("timeUnixNano", "9" * 30),
        ("timeUnixNano", nanoseconds(TODAY + timedelta(days=2))),
        ("timeUnixNano", nanoseconds(TODAY - MAX_AGE - timedelta(days=1))),
        ("attributes", None),
        ("attributes", {"log.record.uid": UID}),
        ("attributes", [SECRET]),
    ],
)
def test_only_the_record_with_an_invalid_field_is_refused(
    record: Build, request_of: Build, field: str, value: object
) -> None:
    decoded = decode(request_of({**record(), field: value}, record()))
    assert (len(decoded.rows), decoded.rejected) == (1, 1)
    assert decoded.message.startswith("resourceLogs[0], log record 0: ")


@pytest.mark.parametrize("count", ["0", "-1", "1.5", "٣", "", 1.5, True, None, str(MAX_COUNT + 1), "9" * 19, 1e300])
def test_an_invalid_count_is_refused(record: Build, request_of: Build, count: object) -> None:
    assert decode(request_of(record(count=count))).rejected == 1


@pytest.mark.parametrize("uid", ["", UID[:-1], f"{{{UID}}}", f"{UID}\n", SECRET])
def test_a_uid_that_is_not_a_uuid_is_refused(record: Build, request_of: Build, uid: str) -> None:
    changed = record()
    attribute(changed, "log.record.uid")["stringValue"] = uid
    assert decode(request_of(changed)).rejected == 1


def test_a_uuid_in_capitals_is_the_same(record: Build, request_of: Build) -> None:
    assert decode(request_of(record(uid=UID.upper()))).rows[0].uid == UID


def test_an_attribute_that_is_given_twice_is_refused(record: Build, request_of: Build) -> None:
    changed = record()
    changed["attributes"] += record()["attributes"][:1]
    assert decode(request_of(changed)).message == "resourceLogs[0], log record 0: log.record.uid is given twice"


@pytest.mark.parametrize("days", [timedelta(days=1), timedelta(), -MAX_AGE])
def test_a_day_of_the_last_ten_years_or_tomorrow_is_accepted(record: Build, request_of: Build, days: timedelta) -> None:
    changed = {**record(), "timeUnixNano": nanoseconds(TODAY + days)}
    assert [row.day for row in decode(request_of(changed)).rows] == [(TODAY + days).isoformat()]


@pytest.mark.parametrize(
    "change",
    [
        {"service_name": "other"},
        {"service_version": "0.19.1+acme"},
        {"os_name": "acme-linux"},
        {"os_version": SECRET},
        {"deepchecks_runtime": ""},
        {"app_installation_id": SECRET},
    ],
)
def test_all_records_of_an_invalid_resource_are_refused(
    record: Build, request_of: Build, change: dict[str, str]
) -> None:
    request = request_of(record(), record(), **change)
    request["resourceLogs"] += request_of(record())["resourceLogs"]
    decoded = decode(request)
    assert (len(decoded.rows), decoded.rejected) == (1, 2)
    assert next(iter(change)).replace("_", ".") in decoded.message


@pytest.mark.parametrize("resource", [None, SECRET, [], {"attributes": None}])
def test_records_without_a_resource_are_refused(record: Build, request_of: Build, resource: object) -> None:
    request = request_of(record())
    request["resourceLogs"][0]["resource"] = resource
    assert decode(request).rejected == 1


def test_free_text_is_neither_stored_nor_repeated(record: Build, request_of: Build) -> None:
    kept = {**record(), "body": {"stringValue": SECRET}, SECRET: SECRET}
    kept["attributes"].append({"key": SECRET, "value": {"stringValue": SECRET}})
    refused = {**record(), "eventName": f"deepchecks.{SECRET}"}
    request = request_of(kept, refused)
    request["resourceLogs"][0]["resource"]["attributes"].append({"key": "user.name", "value": {"stringValue": SECRET}})
    decoded = decode(request)
    assert (len(decoded.rows), decoded.rejected) == (1, 1)
    assert SECRET not in repr(decoded)


@pytest.mark.parametrize("extra", ["record", "resource", "body"])
def test_unknown_content_of_an_accepted_record_is_reported(record: Build, request_of: Build, extra: str) -> None:
    request = request_of(record())
    group = request["resourceLogs"][0]
    changed = group["scopeLogs"][0]["logRecords"][0]
    if extra == "body":
        changed["body"] = {"stringValue": "hello"}
    else:
        holder = changed if extra == "record" else group["resource"]
        holder["attributes"].append({"key": "host.name", "value": {"stringValue": "box"}})
    message = "left out what the catalogue does not name in 1 log records that were taken"
    assert decode(request)[1:] == (0, message)


def test_only_the_first_reasons_are_reported(record: Build, request_of: Build) -> None:
    message = decode(request_of(*[{**record(), "eventName": "x"}] * 100)).message
    assert message.count("eventName") == 5
    assert message.endswith("and 95 more log records")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"{",
        b"nul",
        b"[]",
        b"null",
        b'"resourceLogs"',
        b'{"resourceLogs":{}}',
        b'{"resourceLogs":[1]}',
        b'{"resourceLogs":[{"scopeLogs":"x"}]}',
        b'{"resourceLogs":[{"scopeLogs":[null]}]}',
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[[]]}]}]}',
        b'{"later":NaN}',
        b"[" * 1_000_000,
        b"9" * 1_000_000,
        '{"resourceLogs":[]}'.encode("utf-16"),
    ],
    ids=lambda body: repr(body[:30]),
)
def test_an_invalid_body_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError) as refusal:
        read(parse_json(body), today=TODAY)
    assert refusal.value.status == 400


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"resourceLogs":null}',
        b'{"resourceLogs":[],"later":{"a":1}}',
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":null,"schemaUrl":"x"}]}]}',
    ],
)
def test_an_empty_request_is_a_request_and_unknown_keys_are_ignored(body: bytes) -> None:
    assert read(parse_json(body), today=TODAY) == Decoded((), 0, "")


def test_a_request_of_too_many_records_is_refused(record: Build, request_of: Build) -> None:
    full = request_of(*[{}] * MAX_RECORDS)
    assert decode(full).rejected == MAX_RECORDS
    full["resourceLogs"] += request_of(record())["resourceLogs"]
    with pytest.raises(RequestError) as refusal:
        decode(full)
    assert refusal.value.status == 413


@pytest.mark.parametrize("before", [b'{"resourceLogs":[', b'{"resourceLogs":[{"scopeLogs":['])
def test_a_request_of_too_many_empty_groups_is_refused(before: bytes) -> None:
    after = b"]}" * before.count(b"[")
    groups = [b"{}"] * (MAX_RECORDS + 1)
    assert outcome_of(before + b",".join(groups) + after) == 413
    assert outcome_of(before + b",".join(groups[1:]) + after) == Decoded((), 0, "")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused(body: bytes) -> None:
    assert outcome_of(body) in (400, Decoded((), 0, ""))


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of every value inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [prefix, *(path for key, child in inner for path in paths(child, (*prefix, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: object) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def records_in(value: Any) -> int:
    """The number of records anywhere in a request."""
    if isinstance(value, list):
        return sum(map(records_in, value))
    if not isinstance(value, dict):
        return 0
    records = value.get("logRecords")
    return sum(map(records_in, value.values())) + (len(records) if isinstance(records, list) else 0)


@given(data=st.data())
@settings(max_examples=400, deadline=None)
def test_no_change_of_a_request_makes_a_row_outside_the_catalogue(
    data: st.DataObject, record: Build, request_of: Build
) -> None:
    request = request_of(record(uid=UID), record("package-import", uid=str(uuid.UUID(int=1))))
    for _ in range(data.draw(st.integers(1, 2))):
        request = replaced(request, data.draw(st.sampled_from(paths(request))), data.draw(JSON))
    decoded = outcome_of(json.dumps(request).encode())
    if not isinstance(decoded, Decoded):
        assert decoded == 400
        return
    for row in decoded.rows:
        assert str(uuid.UUID(row.uid)) == row.uid
        assert str(uuid.UUID(row.installation_id)) == row.installation_id
        assert row.event in EVENT_NUMBERS
        assert 1 <= row.count <= MAX_COUNT
        assert is_allowed(row.environment)
        assert TODAY - MAX_AGE <= date.fromisoformat(row.day) <= TODAY + timedelta(days=1)
    assert len(decoded.rows) + decoded.rejected <= records_in(request)
    assert bool(decoded.message) or not decoded.rejected
