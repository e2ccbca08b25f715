"""A batch's rows as one OTLP/HTTP JSON logs request: the bytes depend on nothing but the rows and the installation id.

Names are OpenTelemetry's (semantic conventions: service, os, process.runtime, app.installation, log.record). 64-bit
numbers are strings, as protobuf's JSON mapping wants them.
"""

import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from itertools import groupby
from typing import Any

from deepchecks_telemetry.spool.batches.seal import Row
from deepchecks_telemetry.spool.catalogue import FIELDS, Environment

# A local part of the version ("+acme") is free text.
SCOPE = {"name": "deepchecks_telemetry", "version": version("deepchecks-telemetry").partition("+")[0]}
DAY_NS = 86_400 * 10**9


def render(installation_id: str, rows: Iterable[Row], *, scope: Mapping[str, str] = SCOPE) -> bytes:
    """The request's body in UTF-8; rows of one environment must stand together."""
    groups = [
        _resource_logs(installation_id, place, found, scope)
        for place, found in groupby(rows, lambda row: row.environment)
    ]
    return json.dumps({"resourceLogs": groups}, separators=(",", ":")).encode()


def _resource_logs(
    installation_id: str, environment: Environment, rows: Iterable[Row], scope: Mapping[str, str]
) -> dict[str, Any]:
    described = zip((field.wire for field in FIELDS), environment, strict=True)
    attributes = [("service.name", "deepchecks"), ("app.installation.id", installation_id), *described]
    return {
        # First, against custom: the OpenTelemetry Collector tells files apart by their first 1,000 bytes, and here
        # those hold the uid of a row, which no other batch has.
        "scopeLogs": [{"logRecords": [_log_record(row) for row in rows], "scope": scope}],
        "resource": {"attributes": [_text(key, value) for key, value in attributes]},
    }


def _log_record(row: Row) -> dict[str, Any]:
    return {
        "attributes": [
            _text("log.record.uid", row.uid),
            {"key": "deepchecks.event.count", "value": {"intValue": str(row.count)}},
        ],
        "eventName": f"deepchecks.{row.event}",
        "timeUnixNano": str(row.day * DAY_NS),
    }


def _text(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}
