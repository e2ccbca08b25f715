"""What an answer means: one pure function from what came back to what is to be done with the batch.

OTLP's rules (specification, "OTLP/HTTP Response"), but nothing is dropped for a server's or a proxy's wrong settings:
only a server that speaks OTLP can retire rows.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any

from deepchecks_telemetry.uploader.schedule import LONGEST_RETRY_AFTER_S
from deepchecks_telemetry.uploader.wire.causes import http_reason

DELIVERED, RETRY, PARKED, REJECTED, EXPORTED = "delivered", "retry", "parked", "rejected", "exported"
RETRYABLE = frozenset({429, 502, 503, 504})
# Not the receiver's answer on this batch, but that of a proxy that asks for a password, of a gateway that timed out, of
# a network that asks for a log-in.
ON_THE_WAY = frozenset({407, 408, 511})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: where nothing did, `status` is None and `error` is one of the phrases in `causes`.

    Header names are in lower case.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to do with the batch, why in one short phrase of ours, and what the server asked for."""

    kind: str
    reason: str
    rejected_rows: int = 0
    wait_s: int | None = None


def classify(answer: Answer, *, now: float) -> Outcome:
    """Judge one answer; `now` (Unix seconds) is for a Retry-After that names a date."""
    if answer.status is None:
        return Outcome(RETRY, answer.error or "no answer")
    if 200 <= answer.status < 300:
        return _judge_success(answer)
    if answer.status == 400 and _is_status(_json(answer.body)):
        return Outcome(REJECTED, "HTTP 400: the receiver cannot accept this batch")
    reason = http_reason(answer.status)
    if answer.status in RETRYABLE:
        return Outcome(RETRY, reason, wait_s=retry_after(answer.headers, now))
    retried = answer.status in ON_THE_WAY or 300 <= answer.status < 400
    return Outcome(RETRY if retried else PARKED, reason)


def retry_after(headers: Mapping[str, str], now: float) -> int | None:
    """The seconds that a Retry-After asks for, in either of its forms (RFC 9110, 10.2.3); None where it has neither."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        seconds = int(text[:9])
    else:
        try:
            date = parsedate_to_datetime(text)
            # HTTP's dates are UTC, also in the old form that names no zone.
            seconds = int((date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp() - now) + 1
        except (ValueError, OverflowError):
            return None
    return max(0, min(seconds, LONGEST_RETRY_AFTER_S))


def _judge_success(answer: Answer) -> Outcome:
    refused = _refused_rows(_json(answer.body))
    if refused is None:
        # A captive portal answers 200 to everything, with HTML or JSON of its own or an empty body. Some stores answer
        # an empty 204 or 200 themselves, against the specification: a collector belongs in front of them.
        return Outcome(RETRY, http_reason(answer.status or 200))
    if refused:
        return Outcome(DELIVERED, f"delivered, {refused} rows rejected", rejected_rows=refused)
    return Outcome(DELIVERED, "delivered")


def _refused_rows(response: object) -> int | None:
    """How many records an ExportLogsServiceResponse says were refused; None where it is another response."""
    if not isinstance(response, dict) or (response and "partialSuccess" not in response):
        return None
    partial = response.get("partialSuccess")
    if partial is not None and not isinstance(partial, dict):
        return None
    value = (partial or {}).get("rejectedLogRecords")  # protobuf's JSON writes a default as null, or not at all
    return 0 if value is None else _integer(value)


def _integer(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    return value if type(value) is int and 0 <= value < 2**63 else None


def _is_status(content: object) -> bool:
    """A google.rpc.Status with one of gRPC's 16 codes of an error, and nothing of another kind.

    OTLP lets a server omit the code. But `{"message": "Bad Request"}` is also what API gateways answer, and a batch is
    retired for good by it: without a code it is parked.
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
