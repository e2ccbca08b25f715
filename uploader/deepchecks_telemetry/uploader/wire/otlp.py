"""Renders rows as one OTLP/HTTP JSON logs request: the bytes depend only on the rows, the installation id, the scope.

Names are from OpenTelemetry's semantic conventions (service, os, process.runtime, app.installation, log.record). 64-bit
numbers are strings, as in protobuf's JSON mapping.
"""

import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from itertools import groupby
from typing import Any

from deepchecks_telemetry.spool.batches.seal import Row
from deepchecks_telemetry.spool.catalogue import FIELDS, Environment

# Without the local part of the version ("+acme"), which is free text.
SCOPE = {"name": "deepchecks_telemetry", "version": version("deepchecks-telemetry").partition("+")[0]}
DAY_NS = 86_400 * 10**9


def render(installation_id: str, rows: Iterable[Row], *, scope: Mapping[str, str] = SCOPE) -> bytes:
    """The body of the request in UTF-8; rows of one environment must follow each other."""
    groups = [
        _resource_logs(installation_id, environment, group, scope)
        for environment, group in groupby(rows, lambda row: row.environment)
    ]
    return json.dumps({"resourceLogs": groups}, separators=(",", ":")).encode()


def _resource_logs(
    installation_id: str, environment: Environment, rows: Iterable[Row], scope: Mapping[str, str]
) -> dict[str, Any]:
    fields = zip((field.wire for field in FIELDS), environment, strict=True)
    attributes = [("service.name", "deepchecks"), ("app.installation.id", installation_id), *fields]
    return {
        # Before the resource, because the OpenTelemetry Collector identifies a file by its first 1,000 bytes: in this
        # order they contain the uid of a row, which is unique to the batch.
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
