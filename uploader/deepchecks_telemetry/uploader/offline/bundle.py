"""Reads an exported file: each line is a request exactly as this package writes it, or the whole file is refused.

The file comes from an unknown machine. Content outside the catalogue is refused, as is a file that was truncated or
visibly edited.
"""

import hashlib
import io
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepchecks_telemetry.spool.batches.seal import Row
from deepchecks_telemetry.spool.catalogue import (
    EVENT_NUMBERS,
    FIELDS,
    Environment,
    is_allowed,
    is_count,
    is_day,
    is_version,
)
from deepchecks_telemetry.spool.files.regular import read_plain
from deepchecks_telemetry.spool.identity import is_uuid
from deepchecks_telemetry.uploader.errors import BadFile
from deepchecks_telemetry.uploader.offline.export import NAME_DIGITS, PREFIX, SUFFIX
from deepchecks_telemetry.uploader.wire.otlp import DAY_NS, SCOPE, render

MAX_BYTES = 64 * 2**20  # of a file; a batch of 1,000 rows has some 300 KB
MAX_LINE_BYTES = 2 * 2**20  # twice 1,000 rows of 1,000 environments; parsed, JSON takes 30 times its size in memory
DIGEST_IN_NAME = re.compile(
    rf"{PREFIX}([0-9a-f]{{{NAME_DIGITS}}}).*{re.escape(SUFFIX)}"
)  # a copy may be called "… (1).jsonl"


@dataclass(frozen=True, slots=True)
class Request:
    """One line of a file: the sealed body, its digest, the number of its rows and events, and the position."""

    body: bytes
    sha256: str
    rows: int
    events: int
    file: str
    line: int


def read_file(path: str) -> list[Request]:
    """All requests of a file; raises `BadFile` unless every byte of it is as it was written."""
    content = _read(path)
    name = os.path.basename(path)
    digest = DIGEST_IN_NAME.search(name)
    if digest and not hashlib.sha256(content).hexdigest().startswith(digest[1]):
        raise BadFile(f"the file {name} was changed: its SHA-256 does not match its name")
    if not content.endswith(b"\n"):
        raise BadFile(f"the file {name} is empty or truncated")
    # Not split(), which would make a list of 64 million items of a file of empty lines before the first is refused.
    return [_request(line[:-1], name, number) for number, line in enumerate(io.BytesIO(content), 1)]


def _read(path: str) -> bytes:
    try:
        return read_plain(path, MAX_BYTES)
    except OSError as error:
        raise BadFile(f"the file {path} cannot be read ({error.strerror or type(error).__name__})") from error


def _request(body: bytes, file: str, line: int) -> Request:
    rows = read_rows(body)
    if not rows:
        raise BadFile(f"line {line} of {file} is not a request that this version of deepchecks-telemetry can write")
    return Request(body, hashlib.sha256(body).hexdigest(), len(rows), sum(row.count for row in rows), file, line)


def read_rows(body: bytes) -> list[Row]:
    """The rows of a request; empty unless rendering them gives the same bytes."""
    try:
        rows, rendered = _parse(json.loads(body)) if len(body) <= MAX_LINE_BYTES else ([], b"")
    # ArithmeticError: int(1e999).
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return []
    return rows if rendered == body else []


def _parse(request: Any) -> tuple[list[Row], bytes]:
    """The rows of a request, and the bytes that `render` makes of them; raises if it contains anything else."""
    first = request["resourceLogs"][0]
    scope = {"name": SCOPE["name"], "version": first["scopeLogs"][0]["scope"]["version"]}
    installation = _texts(first["resource"])["app.installation.id"]
    if not (is_version(scope["version"]) and is_uuid(installation)):
        raise ValueError
    rows = [
        _row(record, _environment(group))
        for group in request["resourceLogs"]
        for scoped in group["scopeLogs"]
        for record in scoped["logRecords"]
    ]
    return rows, render(installation, rows, scope=scope)


def _environment(group: Mapping[str, Any]) -> Environment:
    texts = _texts(group["resource"])
    environment = Environment(*(texts[field.wire] for field in FIELDS))
    if not is_allowed(environment):
        raise ValueError
    return environment


def _row(record: Mapping[str, Any], environment: Environment) -> Row:
    uid = record["attributes"][0]["value"]["stringValue"]
    event = record["eventName"].removeprefix("deepchecks.")
    count = int(record["attributes"][1]["value"]["intValue"])
    day = int(record["timeUnixNano"]) // DAY_NS
    if not (is_uuid(uid) and event in EVENT_NUMBERS and is_count(count) and is_day(day)):
        raise ValueError
    return Row(uid, day, event, environment, count)


def _texts(resource: Mapping[str, Any]) -> dict[str, str]:
    return {pair["key"]: pair["value"]["stringValue"] for pair in resource["attributes"]}
