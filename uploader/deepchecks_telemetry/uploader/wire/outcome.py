"""Classifies a response: a pure function from the response to the outcome for the batch.

It follows OTLP (specification, "OTLP/HTTP Response"), except that rows are rejected only by a response in OTLP's
format, so that a wrong setting of a server or a proxy loses nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any

from deepchecks_telemetry.uploader.schedule import MAX_RETRY_AFTER_S
from deepchecks_telemetry.uploader.wire.causes import http_reason

DELIVERED, RETRY, PARKED, REJECTED, EXPORTED = "delivered", "retry", "parked", "rejected", "exported"
RETRYABLE = frozenset({429, 502, 503, 504})
# Responses not of the receiver but of a proxy that requires a password, a gateway that timed out, or a network that
# requires a login.
INTERMEDIARY = frozenset({407, 408, 511})
# How Go's HTTP server says 413. The OpenTelemetry Collector sends it as 400 with an OTLP Status, but the limit is a
# setting (max_request_body_size), so the batch is not rejected.
TOO_LARGE = b"request body too large"


@dataclass(frozen=True, slots=True)
class Response:
    """A response, or the failure to get one: then `status` is None, and `error` one of the phrases in `causes`.

    Header names are in lower case.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to do with the batch, the reason as a phrase of `causes`, and the delay that the server asked for."""

    kind: str
    reason: str
    rejected_rows: int = 0
    retry_after_s: int | None = None


def classify(response: Response, *, now: float) -> Outcome:
    """The outcome of a response; `now` (Unix seconds) is needed for a Retry-After that is a date."""
    if response.status is None:
        return Outcome(RETRY, response.error or "no answer")
    if 200 <= response.status < 300:
        return _classify_success(response)
    if response.status == 400 and TOO_LARGE in response.body:
        return Outcome(PARKED, http_reason(413))
    if response.status == 400 and _is_status(_json(response.body)):
        return Outcome(REJECTED, "HTTP 400: the receiver cannot accept this batch")
    reason = http_reason(response.status)
    if response.status in RETRYABLE:
        return Outcome(RETRY, reason, retry_after_s=retry_after(response.headers, now))
    retried = response.status in INTERMEDIARY or 300 <= response.status < 400
    return Outcome(RETRY if retried else PARKED, reason)


def retry_after(headers: Mapping[str, str], now: float) -> int | None:
    """The seconds of a Retry-After in either form (RFC 9110, 10.2.3), at most 7 days; None if it has neither."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        seconds = int(text[:9])
    else:
        try:
            date = parsedate_to_datetime(text)
            # Dates in HTTP are UTC, also in the obsolete form without a zone.
            seconds = int((date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp() - now) + 1
        except (ValueError, OverflowError):
            return None
    return max(0, min(seconds, MAX_RETRY_AFTER_S))


def _classify_success(response: Response) -> Outcome:
    rejected = _rejected_rows(_json(response.body))
    if rejected is None:
        # A captive portal responds to every request with 200 and its own HTML or JSON, or an empty body. Some stores
        # respond with an empty 204 or 200, against the specification, and need a collector in front of them.
        return Outcome(RETRY, http_reason(response.status or 200))
    if rejected:
        return Outcome(DELIVERED, f"delivered, {rejected} rows rejected", rejected_rows=rejected)
    return Outcome(DELIVERED, "delivered")


def _rejected_rows(content: object) -> int | None:
    """The number of rejected records in an ExportLogsServiceResponse; None if it is not one."""
    if not isinstance(content, dict) or (content and "partialSuccess" not in content):
        return None
    partial = content.get("partialSuccess")
    if partial is not None and not isinstance(partial, dict):
        return None
    value = (partial or {}).get("rejectedLogRecords")  # protobuf's JSON writes a default as null, or not at all
    return 0 if value is None else _integer(value)


def _integer(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    return value if type(value) is int and 0 <= value < 2**63 else None


def _is_status(content: object) -> bool:
    """Whether this is a google.rpc.Status with one of gRPC's 16 error codes and no other members.

    OTLP lets a server omit the code. But API gateways also respond with `{"message": "Bad Request"}`, and a rejection
    is final: a batch refused without a code is parked instead.
    """
    if not isinstance(content, dict) or set(content) - {"code", "message", "details"}:
        return False
    code, message, details = content.get("code"), content.get("message", ""), content.get("details", [])
    return type(code) is int and 1 <= code <= 16 and isinstance(message, str) and isinstance(details, list)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
