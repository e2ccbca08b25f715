"""Every response has one outcome, and only a response in OTLP's format can be final for rows."""

import json
import os
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepchecks_telemetry.spool.states import STATES, BatchState
from deepchecks_telemetry.uploader.wire import outcome
from deepchecks_telemetry.uploader.wire.outcome import (
    DELIVERED,
    EXPORTED,
    PARKED,
    REJECTED,
    RETRY,
    Response,
    classify,
    retry_after,
)

NOW = 1_445_412_480.0  # 2015-10-21 07:28:00 UTC
WEEK_S = 7 * 86_400
HTML = b"<!doctype html><title>Log in to the airport's network</title>"

# Each body with the number of records that it rejects; None if it is not an OTLP success.
SUCCESSES: dict[bytes, int | None] = {
    b"{}": 0,
    b" {} \n": 0,
    b'{"partialSuccess":null}': 0,
    b'{"partialSuccess":{}}': 0,
    b'{"partialSuccess":{"errorMessage":"deprecated"}}': 0,
    b'{"partialSuccess":{"rejectedLogRecords":null}}': 0,
    b'{"partialSuccess":{"rejectedLogRecords":"0"}}': 0,
    b'{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"no"}}': 3,
    b'{"partialSuccess":{"rejectedLogRecords":3}}': 3,
    b'{"partialSuccess":{"rejectedLogRecords":9223372036854775807}}': 2**63 - 1,
    b'{"partialSuccess":{"rejectedLogRecords":"9223372036854775807"}}': 2**63 - 1,
    b'{"partialSuccess":{},"ofALaterVersion":1}': 0,
    b"": None,
    HTML: None,
    b"ok": None,
    b"null": None,
    b"[]": None,
    b"true": None,
    b'"{}"': None,
    b"[" * 100_000: None,
    b'{"a":' * 100_000: None,
    b'{"partialSuccess":' + b"1" * 20_000 + b"}": None,
    b"\xff\xfe{}": None,
    b'{"status":"ok"}': None,
    b'{"error":"log in first"}': None,
    b'{"partialSuccess":false}': None,
    b'{"partialSuccess":0}': None,
    b'{"partialSuccess":""}': None,
    b'{"partialSuccess":[]}': None,
    b'{"partialSuccess":"{}"}': None,
    b'{"partialSuccess":{"rejectedLogRecords":9223372036854775808}}': None,
    b'{"partialSuccess":{"rejectedLogRecords":"9223372036854775808"}}': None,
    b'{"partialSuccess":{"rejectedLogRecords":18446744073709551616}}': None,
    b'{"partialSuccess":{"rejectedLogRecords":"00000000000000000003"}}': None,  # longer than any 64-bit number
    b'{"partialSuccess":{"rejectedLogRecords":"' + b"1" * 5_000 + b'"}}': None,  # longer than Python converts to an int
    b'{"partialSuccess":{"rejectedLogRecords":-1}}': None,
    b'{"partialSuccess":{"rejectedLogRecords":"-1"}}': None,
    b'{"partialSuccess":{"rejectedLogRecords":"many"}}': None,
    b'{"partialSuccess":{"rejectedLogRecords":true}}': None,
    b'{"partialSuccess":{"rejectedLogRecords":NaN}}': None,
    b'{"partialSuccess":{"rejectedLogRecords":1e999}}': None,
    b'{"partialSuccess":{"rejectedLogRecords":[3]}}': None,
    '{"partialSuccess":{"rejectedLogRecords":"٣"}}'.encode(): None,
}
STATUSES = {
    b'{"code":3,"message":"not a request"}': True,
    b'{"code":3}': True,
    b'{"code":0}': False,
    b'{"code":16}': True,
    b'{"message":"not a request"}': False,  # allowed by OTLP, but API gateways also respond like this
    b'{"message":"Bad Request"}': False,
    b'{"code":3,"message":"no","details":[{"@type":"x"}]}': True,
    b"{}": False,
    b'{"details":[]}': False,
    b'{"code":400,"message":"Bad Request"}': False,  # from a gateway: the code is not one of gRPC's 17
    b'{"code":17}': False,
    b'{"code":-1}': False,
    b'{"code":true,"message":"no"}': False,
    b'{"code":"3","message":"no"}': False,
    b'{"code":3,"message":["no"]}': False,
    b'{"code":3,"details":"no"}': False,
    b'{"code":3,"message":"http: request body too large"}': False,  # the OpenTelemetry Collector's 413
    b'{"statusCode":400,"message":"Bad Request"}': False,
    b'{"message":null}': False,
    b'[{"code":3}]': False,
    HTML: False,
    b"": False,
    b"[" * 100_000: False,
}


def kind_of(status: int, *, success: bool, is_status: bool) -> str:
    """The expected outcome, written independently of the code."""
    if 200 <= status <= 299:
        return DELIVERED if success else RETRY
    if 300 <= status <= 399 or status in {429, 502, 503, 504} or status in {407, 408, 511}:
        return RETRY
    return REJECTED if status == 400 and is_status else PARKED


@pytest.mark.parametrize("body", [*SUCCESSES, *STATUSES], ids=lambda body: body[:60].decode("latin-1"))
def test_every_status_with_every_kind_of_body_is_classified_as_designed(body: bytes) -> None:
    success, is_status = SUCCESSES.get(body) is not None, STATUSES.get(body, False)
    for status in range(100, 600):
        result = classify(Response(status, {}, body), now=NOW)
        assert (status, result.kind) == (status, kind_of(status, success=success, is_status=is_status))
        assert result.rejected_rows == ((SUCCESSES.get(body) or 0) if result.kind == DELIVERED else 0)
        assert result.retry_after_s is None


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (Response(200, {}, b"{}"), "delivered"),
        (Response(200, {}, b'{"partialSuccess":{"rejectedLogRecords":3}}'), "delivered, 3 rows rejected"),
        (Response(204), "HTTP 204: not an OTLP response"),
        (Response(302), "HTTP 302: redirects are not followed"),
        (Response(400, {}, b'{"code":3}'), "HTTP 400: the receiver cannot accept this batch"),
        (Response(403), "HTTP 403: access is denied"),
        (Response(418), "HTTP 418"),
        (Response(407), "HTTP 407: the proxy requires credentials"),
        (Response(503), "HTTP 503: the receiver is not available"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_reason_is_a_phrase_of_causes(response: Response, reason: str) -> None:
    assert classify(response, now=NOW).reason == reason


def test_each_outcome_has_the_name_of_its_state() -> None:
    assert {DELIVERED, PARKED, REJECTED, EXPORTED} == set(STATES) - {BatchState.SEALED, BatchState.DROPPED}


@pytest.mark.parametrize("error", ["no connection", "timeout", None])
def test_without_a_response_the_batch_is_retried(error: str | None) -> None:
    assert classify(Response(error=error), now=NOW) == outcome.Outcome(RETRY, error or "no answer")


@pytest.mark.parametrize(
    ("text", "retry_after_s"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("0", 0),
        ("999999999999999999999999", WEEK_S),
        ("9" * 100_000, WEEK_S),
        ("Wed, 21 Oct 2015 07:30:00 GMT", 121),
        ("Wednesday, 21-Oct-15 07:30:00 GMT", 121),
        ("Wed Oct 21 07:30:00 2015", 121),
        ("Wed, 21 Oct 2015 07:30:00 -0000", 121),
        ("Wed, 21 Oct 2015 07:30:00", 121),
        ("Wed, 21 Oct 2015 09:30:00 +0200", 121),
        ("Wed, 21 Oct 2014 07:30:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", WEEK_S),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("1e3", None),
        ("٣", None),
        ("²", None),
        ("Wed, 99 Oct 2015 07:30:00 GMT", None),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("Wed, 21 Oct 2015 07:30:00 +99999999999999999999", None),
        ("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", None),
        ("Mon, 01 Jan 0001 00:00:00 +9999", None),
        (", , ,", None),
        ("\x00", None),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati"])
def test_retry_after_is_parsed_in_both_forms_in_any_time_zone(
    text: str, retry_after_s: int | None, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if zone != "UTC" and os.name == "nt":
        pytest.skip("Windows has no tzset()")
    monkeypatch.setenv("TZ", zone)
    getattr(time, "tzset", lambda: None)()
    try:
        assert retry_after({"retry-after": text}, NOW) == retry_after_s
    finally:
        monkeypatch.undo()
        getattr(time, "tzset", lambda: None)()


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_retryable_status_keeps_the_retry_after(status: int) -> None:
    assert classify(Response(status, {"retry-after": "90"}, HTML), now=NOW).retry_after_s == 90


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["partialSuccess", "rejectedLogRecords", "code", "message", "details", "x"]), inner
        )
    ),
    max_leaves=8,
)
BODIES = st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode())
HEADERS = st.dictionaries(st.sampled_from(["retry-after", "content-type"]), st.text(max_size=40))


def is_status(body: bytes) -> bool:
    try:
        content: Any = json.loads(body)
    except ValueError:
        return False
    return isinstance(content, dict) and type(content.get("code")) is int and content["code"] > 0


@given(st.none() | st.integers(-1, 1_000), HEADERS, BODIES, st.floats(0, 4e9))
def test_no_response_raises_and_only_an_otlp_status_in_a_400_rejects(
    status: int | None, headers: dict[str, str], body: bytes, now: float
) -> None:
    result = classify(Response(status, headers, body), now=now)
    assert result.kind in {DELIVERED, RETRY, PARKED, REJECTED}
    assert result.rejected_rows >= 0
    assert result.retry_after_s is None or 0 <= result.retry_after_s <= WEEK_S
    assert result.reason.isascii()
    assert result.reason.isprintable()
    if result.kind == REJECTED:
        assert status == 400
        assert is_status(body)
    if result.kind == DELIVERED:
        assert status is not None
        assert 200 <= status < 300
        assert isinstance(json.loads(body), dict)
