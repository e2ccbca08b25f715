"""Decodes a request, and encodes the response in the same encoding: OTLP's JSON or protobuf.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp-request
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped, unused-ignore]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs

from deepchecks_telemetry.collector.errors import RequestError
from deepchecks_telemetry.collector.otlp import ATTRIBUTES, MAX_ATTRIBUTES, MAX_RECORDS, Decoded, Object, parse_json

UNKNOWN: Object = {"key": "", "value": {}}  # takes the place of each attribute that is not in the catalogue


class Encoding(NamedTuple):
    """How the bodies of one media type are decoded and encoded."""

    media_type: str
    parse: Callable[[bytes], object]
    success: Callable[[Decoded], bytes]
    status: Callable[[int, str], bytes]


def parse_protobuf(body: bytes) -> Object:
    """Convert protobuf to the JSON mapping, as far as the catalogue needs it; too many messages are refused."""
    try:
        request = ExportLogsServiceRequest.FromString(body)
    except DecodeError as error:
        raise RequestError(400, "The body is not an ExportLogsServiceRequest in protobuf.") from error
    _check_number(request)
    return {"resourceLogs": [_group(group) for group in request.resource_logs]}


def _check_number(request: ExportLogsServiceRequest) -> None:
    """Refuse too many messages before any becomes a Python object; each sum runs over a bounded number."""
    groups = request.resource_logs
    within_limits = (
        len(groups) <= MAX_RECORDS
        and sum(len(group.scope_logs) for group in groups) <= MAX_RECORDS
        and sum(len(scope.log_records) for group in groups for scope in group.scope_logs) <= MAX_RECORDS
    )
    if not within_limits:
        raise RequestError(413, f"The request holds more than {MAX_RECORDS} log records, or groups of them.")


def _group(group: ResourceLogs) -> Object:
    scopes = [{"logRecords": [_record(record) for record in scope.log_records]} for scope in group.scope_logs]
    return {"resource": {"attributes": _attributes(group.resource.attributes)}, "scopeLogs": scopes}


def _record(record: LogRecord) -> Object:
    return {
        "timeUnixNano": record.time_unix_nano,
        "eventName": record.event_name,
        "body": {} if record.HasField("body") else None,
        "attributes": _attributes(record.attributes),
    }


def _attributes(pairs: Iterable[KeyValue]) -> list[Object]:
    """List the attributes, all unknown ones as the same object, because one body can contain millions of them."""
    attributes: list[Object] = []
    for pair in pairs:
        attributes.append({"key": pair.key, "value": _value(pair)} if pair.key in ATTRIBUTES else UNKNOWN)
        if len(attributes) > MAX_ATTRIBUTES:
            break  # `read` refuses a list of this length
    return attributes


def _value(pair: KeyValue) -> Object:
    kind = pair.value.WhichOneof("value")
    if kind == "string_value":
        return {"stringValue": pair.value.string_value}
    return {"intValue": pair.value.int_value} if kind == "int_value" else {}


def _json_success(decoded: Decoded) -> bytes:
    """`partialSuccess` is unset after full success; with 0 rejected records it only carries a message."""
    partial = {"rejectedLogRecords": str(decoded.rejected), "errorMessage": decoded.message}
    return _json({"partialSuccess": partial} if decoded.message else {})


def _protobuf_success(decoded: Decoded) -> bytes:
    if not decoded.message:
        return ExportLogsServiceResponse().SerializeToString()
    partial = ExportLogsPartialSuccess(rejected_log_records=decoded.rejected, error_message=decoded.message)
    return ExportLogsServiceResponse(partial_success=partial).SerializeToString()


def _protobuf_status(code: int, message: str) -> bytes:
    encoded: bytes = Status(code=code, message=message).SerializeToString()
    return encoded


def _json_status(code: int, message: str) -> bytes:
    return _json({"code": code, "message": message})


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


JSON = Encoding("application/json", parse_json, _json_success, _json_status)
PROTOBUF = Encoding("application/x-protobuf", parse_protobuf, _protobuf_success, _protobuf_status)
ENCODINGS = {encoding.media_type: encoding for encoding in (JSON, PROTOBUF)}
