"""Converts an OTLP logs request to rows of the catalogue; everything else is refused, with a `RequestError` at most.

A message names the position of what was refused, never its value: free text is neither stored nor repeated.
"""

import json
import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from deepchecks_telemetry.collector.errors import RequestError
from deepchecks_telemetry.spool.catalogue import EVENT_NUMBERS, FIELDS, Environment

MAX_RECORDS = 10_000  # about the number of our records in 4 MiB
MAX_ATTRIBUTES = 128  # the default limit of the OpenTelemetry SDKs
MAX_COUNT = 10**10  # one event every 9 µs for a day; 900 million such rows still add up within SQLite's 64 bits
MAX_AGE = timedelta(days=3653)  # ten years including leap days
MAX_AHEAD = timedelta(days=1)  # the sender's clock may pass midnight before the collector's
MAX_REASONS = 5

SERVICE, SERVICE_NAME, PREFIX = "deepchecks", "service.name", "deepchecks."
INSTALLATION, UID, COUNT = "app.installation.id", "log.record.uid", "deepchecks.event.count"
ATTRIBUTES = frozenset({SERVICE_NAME, INSTALLATION, UID, COUNT, *(field.wire for field in FIELDS)})

_EVENTS = {PREFIX + name: name for name in EVENT_NUMBERS}
_EPOCH, _DAY_NS = date(1970, 1, 1), 86_400 * 10**9
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_INTEGER = re.compile(r"-?[0-9]{1,19}")

Object = dict[str, Any]
Result = TypeVar("Result")


class Source(NamedTuple):
    """The environment and the installation of a group of records, and whether its resource has anything else."""

    environment: Environment
    installation_id: str
    has_unknown: bool


class Row(NamedTuple):
    """The count of one event on one UTC day (`YYYY-MM-DD`) in one environment; `uid` is the same in every retry."""

    uid: str
    day: str
    event: str
    count: int  # type: ignore[assignment]  # also the name of a method of tuples
    environment: Environment
    installation_id: str


class Decoded(NamedTuple):
    """The rows of a request, the number of rejected records, and a message on what was not stored ("" if nothing)."""

    rows: tuple[Row, ...]
    rejected: int
    message: str


class _RecordError(Exception):
    """A record or resource is not in the catalogue; the rest of the request is still read."""


def utc_today() -> date:
    """The current UTC day."""
    return datetime.now(timezone.utc).date()


def parse_json(body: bytes) -> object:
    """Parse JSON in UTF-8; raises `RequestError`."""
    try:
        # Decoded here, because json.loads also detects UTF-16 and UTF-32.
        return json.loads(body.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RequestError(400, "The body is not JSON in UTF-8.") from error


def read(request: object, *, today: date) -> Decoded:
    """Read an ExportLogsServiceRequest in its JSON mapping, to which `codec` converts protobuf."""
    if not isinstance(request, dict):
        raise RequestError(400, "The body is not an ExportLogsServiceRequest.")
    rows: list[Row] = []
    refused: list[str] = []
    incomplete = 0  # rows whose record or resource also has content that is not stored
    for index, group in enumerate(_objects(request, "resourceLogs")):
        records = [record for scope in _objects(group, "scopeLogs") for record in _objects(scope, "logRecords")]
        if len(rows) + len(refused) + len(records) > MAX_RECORDS:
            raise RequestError(413, f"The request holds more than {MAX_RECORDS} log records.")
        source = _attempt(_source, group.get("resource"))
        for number, record in enumerate(records):
            taken = source if isinstance(source, _RecordError) else _attempt(_row, record, source, today)
            if isinstance(taken, _RecordError):
                refused.append(f"resourceLogs[{index}], log record {number}: {taken}")
            else:
                rows.append(taken[0])
                incomplete += taken[1]
    return Decoded(tuple(rows), len(refused), _message(refused, incomplete))


def _attempt(convert: Callable[..., Result], *arguments: object) -> "Result | _RecordError":
    try:
        return convert(*arguments)
    except _RecordError as error:
        return error


def _source(resource: object) -> Source:
    values = _attributes(resource)
    if _text(values, SERVICE_NAME) != SERVICE:
        raise _RecordError(f"{SERVICE_NAME} is not {SERVICE}")
    for field in FIELDS:
        if not field.allows(_text(values, field.wire)):
            raise _RecordError(f"{field.wire} is not in the catalogue")
    environment = Environment(*(_text(values, field.wire) for field in FIELDS))
    return Source(environment, _uuid(values, INSTALLATION), _has_unknown(resource, values))


def _row(record: Object, source: Source, today: date) -> tuple[Row, bool]:
    """The row of a record, and whether the record or its resource also has content that is not stored."""
    name = record.get("eventName")
    event = _EVENTS.get(name) if isinstance(name, str) else None
    if event is None:
        raise _RecordError("eventName is not in the catalogue")
    values = _attributes(record)
    count = _integer(values.get(COUNT, {}).get("intValue"))
    if count is None or not 1 <= count <= MAX_COUNT:
        raise _RecordError(f"{COUNT} is not a number from 1 to {MAX_COUNT}")
    uid, day = _uuid(values, UID), _day(_integer(record.get("timeUnixNano")), today)
    row = Row(uid, day, event, count, source.environment, source.installation_id)
    return row, source.has_unknown or _has_unknown(record, values)


@lru_cache(maxsize=1024)  # most records of a request are of few days
def _day(time_ns: int | None, today: date) -> str:
    """The UTC day that begins at the time."""
    earliest, latest = ((day - _EPOCH).days for day in (today - MAX_AGE, today + MAX_AHEAD))
    if time_ns is None or time_ns % _DAY_NS or not earliest <= time_ns // _DAY_NS <= latest:
        raise _RecordError("timeUnixNano is not the start of a UTC day of the last ten years")
    return (_EPOCH + timedelta(days=time_ns // _DAY_NS)).isoformat()


def _attributes(holder: object) -> dict[str, Object]:
    """The attributes that are in the catalogue, each with its AnyValue."""
    pairs = (holder.get("attributes") or []) if isinstance(holder, dict) else []
    if not isinstance(pairs, list) or len(pairs) > MAX_ATTRIBUTES:
        raise _RecordError(f"attributes is not a list of at most {MAX_ATTRIBUTES}")
    values: dict[str, Object] = {}
    for pair in pairs:
        key, value = (pair.get("key"), pair.get("value")) if isinstance(pair, dict) else (None, None)
        if not isinstance(key, str):
            raise _RecordError("an attribute has no key")
        if key in values:
            raise _RecordError(f"{key} is given twice")
        if key in ATTRIBUTES:
            values[key] = value if isinstance(value, dict) else {}
    return values


def _has_unknown(holder: Any, values: dict[str, Object]) -> bool:
    """Whether an accepted record or resource has more than these attributes, or a body."""
    return holder.get("body") is not None or len(holder.get("attributes") or ()) != len(values)


def _text(values: dict[str, Object], key: str) -> str:
    text = values.get(key, {}).get("stringValue")
    if not isinstance(text, str):
        raise _RecordError(f"{key} is missing or not a string")
    return text


def _uuid(values: dict[str, Object], key: str) -> str:
    text = _text(values, key)
    if not _UUID.fullmatch(text):
        raise _RecordError(f"{key} is not the text of a UUID")
    return text.lower()


def _integer(value: object) -> int | None:
    """An int64 of the JSON mapping, which is a string or a number; None if it is anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return int(value) if _INTEGER.fullmatch(value) else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) else None


def _objects(holder: Object, key: str) -> Iterable[Object]:
    """The messages of a repeated field; null is the same as absent."""
    items = holder.get(key)
    if items is None:
        return ()
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise RequestError(400, f"{key} is not a list of objects.")
    if len(items) > MAX_RECORDS:  # also of groups: five million empty ones fit into a small gzip body and take seconds
        raise RequestError(413, f"{key} holds more than {MAX_RECORDS} objects.")
    return items


def _message(refused: list[str], incomplete: int) -> str:
    """The errorMessage of the response: the first reasons, and how many records were stored only in part."""
    parts = refused[:MAX_REASONS]
    if len(refused) > MAX_REASONS:
        parts.append(f"and {len(refused) - MAX_REASONS} more log records")
    if incomplete:
        parts.append(f"left out what the catalogue does not name in {incomplete} log records that were taken")
    return "; ".join(parts)


def _no_constant(name: str) -> None:
    raise ValueError(name)  # Python accepts NaN and Infinity, JSON has neither
