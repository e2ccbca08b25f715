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

DELIVERED, RETRY, PARKED, REJECTED, EXPORTED = "delivered", "retry", "parked", "rejected", "exported"
RETRYABLE = frozenset({429, 502, 503, 504})
# Said by something on the way (a proxy that wants a password, a gateway that lost patience, a network that wants a
# log-in), so nothing is said of this batch.
ON_THE_WAY = frozenset({407, 408, 511})
LONGEST_WAIT_S = 7 * 86_400  # no server may silence a client for more than a week


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: `error` is a word of ours when nothing did (refused, timeout, tls, …), and `status` is then None.

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
    reason = f"HTTP {answer.status}"
    if answer.status in RETRYABLE:
        return Outcome(RETRY, reason, wait_s=retry_after(answer.headers, now))
    if answer.status in ON_THE_WAY:
        return Outcome(RETRY, f"{reason}, from something on the way")
    if 300 <= answer.status < 400:
        return Outcome(RETRY, f"{reason}, a redirect, which is never followed")
    if answer.status == 400 and _is_status(_json(answer.body)):
        return Outcome(REJECTED, f"{reason}: the receiver cannot read this batch")
    return Outcome(PARKED, reason)


def retry_after(headers: Mapping[str, str], now: float) -> int | None:
    """The seconds that a Retry-After asks for, in either of its forms (RFC 9110, 10.2.3); None without a sound one."""
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
    return max(0, min(seconds, LONGEST_WAIT_S))


def _judge_success(answer: Answer) -> Outcome:
    refused = _refused_rows(_json(answer.body))
    if refused is None:
        # A captive portal says 200 to everything, with HTML or JSON of its own or nothing at all. Some stores answer
        # an empty 204 or 200 themselves, against the specification: a collector belongs in front of them.
        return Outcome(RETRY, f"HTTP {answer.status}, but the answer is no OTLP")
    if refused:
        return Outcome(DELIVERED, f"delivered, {refused} rows refused", rejected_rows=refused)
    return Outcome(DELIVERED, "delivered")


def _refused_rows(said: object) -> int | None:
    """How many records an ExportLogsServiceResponse says were refused; None where it is no such answer."""
    if not isinstance(said, dict) or (said and "partialSuccess" not in said):
        return None
    partial = said.get("partialSuccess")
    if partial is not None and not isinstance(partial, dict):
        return None
    value = (partial or {}).get("rejectedLogRecords")  # protobuf's JSON writes a default as null, or not at all
    return 0 if value is None else _integer(value)


def _integer(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    return value if type(value) is int and 0 <= value < 2**63 else None


def _is_status(said: object) -> bool:
    """A google.rpc.Status: a code of gRPC's 17 or a message (OTLP lets the code out), and nothing of another kind."""
    if not isinstance(said, dict) or not {"code", "message"} & set(said) or set(said) - {"code", "message", "details"}:
        return False
    code, message, details = said.get("code", 0), said.get("message", ""), said.get("details", [])
    return type(code) is int and 0 <= code <= 16 and isinstance(message, str) and isinstance(details, list)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
