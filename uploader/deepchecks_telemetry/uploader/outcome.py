"""What an answer means: one pure function from what came back to what is to be done with the batch.

OTLP's rules (specification, "OTLP/HTTP Response"), but nothing is dropped for a server's or a proxy's wrong settings:
only a server that speaks OTLP can retire rows.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

DELIVERED, RETRY, PARKED, REJECTED = "delivered", "retry", "parked", "rejected"
RETRYABLE = frozenset({429, 502, 503, 504})
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
            seconds = int(parsedate_to_datetime(text).timestamp() - now) + 1
        except (ValueError, OverflowError, TypeError):
            return None
    return max(0, min(seconds, LONGEST_WAIT_S))


def _judge_success(answer: Answer) -> Outcome:
    said = _json(answer.body)
    partial = said.get("partialSuccess") or {} if isinstance(said, dict) else None
    if not isinstance(partial, dict):
        # A captive portal says 200 to everything.
        return Outcome(RETRY, f"HTTP {answer.status}, but the answer is no OTLP")
    rejected = _integer(partial.get("rejectedLogRecords", 0))
    if rejected is None:
        return Outcome(RETRY, f"HTTP {answer.status}, but the answer is no OTLP")
    if rejected:
        return Outcome(DELIVERED, f"delivered, {rejected} rows refused", rejected_rows=rejected)
    return Outcome(DELIVERED, "delivered")


def _integer(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:18])
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _is_status(said: object) -> bool:
    """A google.rpc.Status: an object with a code or a message and nothing of another kind."""
    return isinstance(said, dict) and bool(said) and set(said) <= {"code", "message", "details"}


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
