"""Flushing over real HTTP: the preview is what arrives, and after each response every event is in one state."""

import gzip
import hashlib
import json
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.spool.stored import stored

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches import ledger
from deepchecks_telemetry.spool.batches.ledger import Batch, batches
from deepchecks_telemetry.spool.batches.queue import DAMAGED, MAX_PARKED, PARKED_RETRY_S, is_stale
from deepchecks_telemetry.spool.batches.seal import MAX_ROWS
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import LOCAL, OFF, ON
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.errors import Busy
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.recovery import maintenance
from deepchecks_telemetry.spool.stats import Accounts, read_accounts
from deepchecks_telemetry.spool.wipe import erase
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.errors import NotAllowed
from deepchecks_telemetry.uploader.flush import flush, seal_next
from deepchecks_telemetry.uploader.plan.decision import BlockedBy, Command, plan
from deepchecks_telemetry.uploader.plan.facts import read_facts
from deepchecks_telemetry.uploader.schedule import DAY_S, MAX_RETRY_AFTER_S
from deepchecks_telemetry.uploader.wire.outcome import DELIVERED, PARKED, REJECTED, RETRY, Response

if TYPE_CHECKING:
    from tests.uploader.conftest import Fill, Receiver, Request

NOW = 1_800_000_000.0
STATUS = b'{"code":3,"message":"not a request"}'
PATIENCE_S = 30


def accounts(home: Home) -> Accounts:
    """The accounts, checked that no event is lost or in two states."""
    totals = read_accounts(home)
    assert totals.balance == 0
    return totals


def stored_retry_after(home: Home) -> dict[str, int]:
    """Until when each host asked to wait (Unix seconds)."""
    with opened(home) as connection:
        return dict(connection.execute("SELECT host, until FROM retry_after").fetchall())


def waits(home: Home, endpoint: Endpoint, now: float) -> bool:
    """Whether nothing is sent to `endpoint` because it asked to wait."""
    facts = read_facts(home, now)._replace(endpoint=endpoint)
    return plan(facts, Command.FLUSH, now).blocked_by is BlockedBy.RETRY_AFTER


def flush_kinds(home: Home, receiver: "Receiver", **options: Any) -> list[str]:
    """The kind of the outcome of each request of a flush."""
    return [sent.outcome.kind for sent in flush(home, receiver.endpoint, clock=lambda: NOW, **options)]


def respond_with(status: int, body: bytes = b"{}", **headers: str) -> "Any":
    return lambda _: Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def counts(body: bytes) -> dict[str, int]:
    """The count of each uid in a compressed body."""
    return {
        record["attributes"][0]["value"]["stringValue"]: int(record["attributes"][1]["value"]["intValue"])
        for resource in json.loads(gzip.decompress(body))["resourceLogs"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
    }


def test_the_preview_arrives_byte_for_byte(spool: Home, receiver: "Receiver") -> None:
    previewed = seal_next(spool)
    assert previewed is not None
    assert accounts(spool).sealed == 3
    (sent,) = flush(spool, receiver.endpoint)
    (arrived,) = receiver.bodies()
    assert gzip.decompress(arrived) == previewed.body
    assert hashlib.sha256(gzip.decompress(arrived)).hexdigest() == previewed.sha256
    assert sent.batch.packed == previewed.packed == arrived
    assert sorted(counts(arrived).values()) == [1, 2]
    (kept,) = batches(spool, states=(DELIVERED,))
    assert (kept.packed, kept.sha256, kept.endpoint) == (arrived, previewed.sha256, receiver.endpoint.url)
    after = accounts(spool)
    assert (after.delivered, after.pending, after.sealed, after.recorded) == (3, 0, 0, 3)


def test_a_second_preview_shows_the_same_bytes(spool: Home) -> None:
    first = seal_next(spool)
    assert record("run-suite")
    assert first == seal_next(spool)


@pytest.mark.parametrize(
    "answer",
    [
        respond_with(503, STATUS),
        respond_with(429),
        respond_with(502),
        respond_with(504),
        respond_with(200, b"<html>Log in</html>"),
        respond_with(302),
    ],
)
def test_a_temporary_failure_keeps_everything_and_the_same_bytes_are_sent_again(
    spool: Home, receiver: "Receiver", answer: "Any"
) -> None:
    receiver.answer = answer
    assert flush_kinds(spool, receiver) == [RETRY]
    kept = accounts(spool)
    assert (kept.sealed, kept.delivered, stored(spool).failures) == (3, 0, 1)
    assert NOW + 60 <= (stored(spool).next_upload or 0) <= NOW + 60 + 600
    assert record("run-suite")
    assert flush_kinds(spool, receiver) == [RETRY]
    assert stored(spool).failures == 2
    receiver.answer = respond_with(200)
    assert flush_kinds(spool, receiver) == [DELIVERED, DELIVERED]
    first, second, third, fourth = receiver.bodies()
    assert first == second == third
    assert list(counts(fourth).values()) == [1]
    assert not counts(fourth).keys() & counts(first).keys()
    after = accounts(spool)
    assert (after.delivered, after.pending, after.sealed, stored(spool).failures) == (4, 0, 0, 0)
    assert NOW < (stored(spool).next_upload or 0) < NOW + 2 * DAY_S


def test_a_refused_connection_keeps_everything(spool: Home) -> None:
    closed_port = Endpoint("http://127.0.0.1:1/v1/logs", "a test")
    assert [sent.outcome.kind for sent in flush(spool, closed_port)] == [RETRY]
    assert accounts(spool).sealed == 3


def test_retry_after_is_respected_until_a_batch_is_delivered(spool: Home, receiver: "Receiver") -> None:
    receiver.answer = respond_with(503, retry_after="900")
    assert flush_kinds(spool, receiver) == [RETRY]
    assert stored_retry_after(spool) == {receiver.endpoint.host: NOW + 900}
    assert (stored(spool).next_upload or 0) >= NOW + 900
    receiver.answer = respond_with(200)
    for moment in (NOW, NOW + 899):
        assert waits(spool, receiver.endpoint, moment)
    assert flush_kinds(spool, receiver) == [DELIVERED]
    assert stored_retry_after(spool) == {}
    assert not waits(spool, receiver.endpoint, NOW)


@pytest.mark.parametrize("now", [NOW + 900, NOW - MAX_RETRY_AFTER_S - 1])
def test_retry_after_ends_and_is_not_prolonged_by_a_clock_that_jumped_back(
    spool: Home, receiver: "Receiver", now: float
) -> None:
    receiver.answer = respond_with(503, retry_after="900")
    assert flush_kinds(spool, receiver) == [RETRY]
    assert not waits(spool, receiver.endpoint, now)


@pytest.mark.parametrize(("rows", "rejected", "delivered"), [("0", 0, 3), ("1", 1, 2), ("2", 3, 0), ("99", 3, 0)])
def test_a_partial_success_is_final_and_its_rejected_rows_are_recorded(
    spool: Home, receiver: "Receiver", rows: str, rejected: int, delivered: int
) -> None:
    receiver.answer = respond_with(200, json.dumps({"partialSuccess": {"rejectedLogRecords": rows}}).encode())
    assert flush_kinds(spool, receiver) == [DELIVERED]
    assert flush_kinds(spool, receiver) == []
    after = accounts(spool)
    assert (after.delivered, after.rejected, after.sealed) == (delivered, rejected, 0)


def test_a_400_of_an_otlp_receiver_rejects_the_batch(spool: Home, receiver: "Receiver") -> None:
    receiver.answer = respond_with(400, STATUS)
    assert flush_kinds(spool, receiver) == [REJECTED]
    assert flush_kinds(spool, receiver, parked=True) == []
    assert (accounts(spool).rejected, accounts(spool).sealed) == (3, 0)
    (kept,) = batches(spool)
    assert (kept.state, kept.rejected, kept.outcome) == (REJECTED, 3, "HTTP 400: the receiver cannot accept this batch")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 500])
def test_a_refused_batch_is_parked_does_not_block_later_ones_and_can_be_retried(
    spool: Home, receiver: "Receiver", status: int
) -> None:
    receiver.answer = respond_with(status, b"<html>no</html>")
    assert flush_kinds(spool, receiver) == [PARKED]
    assert (accounts(spool).parked, len(batches(spool, states=(PARKED,)))) == (3, 1)
    receiver.answer = respond_with(200)
    assert flush_kinds(spool, receiver) == []
    assert record("run-suite")
    assert flush_kinds(spool, receiver) == [DELIVERED]
    assert (accounts(spool).parked, accounts(spool).delivered) == (3, 1)
    assert flush_kinds(spool, receiver, parked=True) == [DELIVERED]
    refused, later, again = receiver.bodies()
    assert refused == again != later
    assert (accounts(spool).parked, accounts(spool).delivered) == (0, 4)


def test_many_rows_are_sent_in_several_batches_oldest_first_and_a_refused_one_blocks_none(
    spool: Home, fill: "Fill", receiver: "Receiver"
) -> None:
    fill(2_500)
    receiver.answer = lambda _: Response(403 if len(receiver.requests) == 1 else 200, {}, b"{}")
    assert flush_kinds(spool, receiver) == [PARKED, DELIVERED, DELIVERED]
    assert (accounts(spool).parked, accounts(spool).delivered) == (1_000, 1_503)
    assert flush_kinds(spool, receiver, parked=True) == [DELIVERED]
    bodies = receiver.bodies()
    assert bodies[0] == bodies[3]
    assert [len(counts(body)) for body in bodies] == [1_000, 1_000, 502, 1_000]
    assert len(set().union(*map(counts, bodies))) == 2_502
    assert sum(sum(counts(body).values()) for body in bodies[:3]) == 2_503


def test_after_a_failed_attempt_later_batches_are_not_tried(spool: Home, fill: "Fill", receiver: "Receiver") -> None:
    fill(1_500)
    receiver.answer = respond_with(503)
    assert flush_kinds(spool, receiver) == [RETRY]
    assert (accounts(spool).sealed, accounts(spool).pending) == (1_000, 503)


def test_a_failed_attempt_ends_the_retry_of_parked_batches(spool: Home, receiver: "Receiver") -> None:
    receiver.answer = respond_with(403)
    assert flush_kinds(spool, receiver) == [PARKED]
    assert record("run-suite")
    assert flush_kinds(spool, receiver) == [PARKED]
    receiver.answer = respond_with(503)
    assert flush_kinds(spool, receiver, parked=True) == [RETRY]
    assert len(receiver.requests) == 3
    assert (accounts(spool).sealed, accounts(spool).parked) == (3, 1)


def test_a_flush_ends_although_a_host_keeps_recording(spool: Home, receiver: "Receiver") -> None:
    def answer(_: "Request") -> Response:
        assert len(receiver.requests) < 5
        assert record("run-check")
        return Response(200, {}, b"{}")

    receiver.answer = answer
    assert seal_next(spool) is not None
    assert flush_kinds(spool, receiver) == [DELIVERED, DELIVERED]
    assert (accounts(spool).delivered, accounts(spool).pending) == (4, 1)


def test_a_second_uploader_gets_busy(spool: Home, receiver: "Receiver") -> None:
    errors: list[BaseException] = []

    def answer(_: "Request") -> Response:
        try:
            list(flush(spool, receiver.endpoint))
        except Busy as error:
            errors.append(error)
        return Response(200, {}, b"{}")

    receiver.answer = answer
    assert flush_kinds(spool, receiver) == [DELIVERED]
    assert len(errors) == len(receiver.requests) == 1
    assert accounts(spool).delivered == 3


@pytest.mark.parametrize("mode", [LOCAL, OFF, "ON?"])
def test_a_mode_other_than_on_sends_nothing_and_names_its_source(
    spool: Home, receiver: "Receiver", mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY", mode)
    with pytest.raises(NotAllowed, match="DEEPCHECKS_TELEMETRY"):
        list(flush(spool, receiver.endpoint, parked=True))
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY", ON)
    choose(spool, mode)
    with pytest.raises(NotAllowed, match="your choice"):
        list(flush(spool, receiver.endpoint, parked=True))
    assert receiver.requests == []
    assert accounts(spool).pending == 3


def test_a_change_of_the_mode_prevents_the_next_request(spool: Home, fill: "Fill", receiver: "Receiver") -> None:
    fill(1_500)

    def answer(_: "Request") -> Response:
        choose(spool, LOCAL)
        return Response(200, {}, b"{}")

    receiver.answer = answer
    with pytest.raises(NotAllowed):
        flush_kinds(spool, receiver)
    assert len(receiver.requests) == 1
    assert (accounts(spool).delivered, accounts(spool).sealed + accounts(spool).pending) == (1_000, 503)


def test_a_change_of_the_mode_is_respected_until_just_before_the_request(
    spool: Home, receiver: "Receiver", monkeypatch: pytest.MonkeyPatch
) -> None:
    """`disable` in the default directories does not wait for uploads from others: they have 20 ms to read the mode."""

    def wait_for_the_lock(home: Home, batch: Batch) -> bool:
        choose(spool, LOCAL)
        return not batch.body

    monkeypatch.setattr(ledger, "park_if_damaged", wait_for_the_lock)
    with pytest.raises(NotAllowed):
        flush_kinds(spool, receiver)
    assert receiver.requests == []
    assert [(batch.attempts, batch.tried_at) for batch in batches(spool)] == [(0, None)]


def test_disable_waits_for_the_running_request_and_no_other_starts(
    spool: Home, fill: "Fill", receiver: "Receiver"
) -> None:
    fill(1_500)
    waiting, erased = threading.Event(), threading.Event()

    def disable() -> None:
        erase(spool, on_wait=waiting.set)
        erased.set()

    eraser = threading.Thread(target=disable)

    def answer(_: "Request") -> Response:
        eraser.start()
        assert waiting.wait(PATIENCE_S)
        assert not erased.is_set()
        return Response(200, {}, b"{}")

    receiver.answer = answer
    assert flush_kinds(spool, receiver) == [DELIVERED]
    assert erased.wait(PATIENCE_S)
    eraser.join(PATIENCE_S)
    assert len(receiver.requests) == 1
    after = accounts(spool)
    assert (after.delivered, after.sealed, after.pending, after.installation_id) == (0, 0, 0, None)
    assert batches(spool) == []


def test_after_a_crash_between_the_response_and_the_ledger_the_same_bytes_are_sent_again(
    spool: Home, receiver: "Receiver"
) -> None:
    bodies: list[bytes] = []

    def die(_: Endpoint, packed: bytes) -> Response:
        bodies.append(packed)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        flush_kinds(spool, receiver, post=die)
    assert accounts(spool).sealed == 3
    assert batches(spool)[0].attempts == 1
    assert flush_kinds(spool, receiver) == [DELIVERED]
    assert receiver.bodies() == bodies
    assert accounts(spool).delivered == 3


def test_without_a_spool_nothing_is_sent_and_no_directory_is_created(receiver: "Receiver") -> None:
    home = find_home()
    assert list(flush(home, receiver.endpoint)) == []
    assert seal_next(home) is None
    assert receiver.requests == []
    assert not os.path.exists(home.state)


def test_a_second_flush_finds_nothing(spool: Home, receiver: "Receiver") -> None:
    assert flush_kinds(spool, receiver) == [DELIVERED]
    assert flush_kinds(spool, receiver) == []
    assert seal_next(spool) is None
    assert len(receiver.requests) == 1


def test_a_gateways_token_is_sent_and_never_stored_in_the_spool(spool: Home, receiver: "Receiver") -> None:
    endpoint = Endpoint(receiver.endpoint.url, "a test", {"X-Token": "hush-hush"})
    assert [sent.outcome.kind for sent in flush(spool, endpoint)] == [DELIVERED]
    assert receiver.requests[0].headers["x-token"] == "hush-hush"
    with opened(spool) as connection:
        assert "hush-hush" not in "".join(connection.iterdump())


def test_a_parked_batch_is_retried_automatically_once_a_week_and_after_a_success_the_others_too(
    spool: Home, receiver: "Receiver"
) -> None:
    receiver.answer = respond_with(403)

    def tried(now: float) -> list[int]:
        return [sent.batch.id for sent in flush(spool, receiver.endpoint, clock=lambda: now)]

    for number in (1, 2, 3):
        assert record("run-suite")
        assert tried(NOW + number) == [number]
    assert [tried(NOW + 10 + PARKED_RETRY_S * week) for week in (1, 2, 3, 4)] == [[1], [2], [3], [1]]
    assert tried(NOW + 5 * PARKED_RETRY_S) == []
    receiver.answer = respond_with(200)
    assert tried(NOW + 10 + PARKED_RETRY_S * 5) == [2, 3, 1]
    assert (accounts(spool).delivered, accounts(spool).parked) == (6, 0)


def test_a_damaged_parked_batch_does_not_prevent_the_weekly_retry_of_others(spool: Home, receiver: "Receiver") -> None:
    receiver.answer = respond_with(403)
    for _ in range(3):
        assert flush_kinds(spool, receiver) == [PARKED]
        assert record("run-suite")
    with opened(spool) as connection:
        connection.execute("DELETE FROM events WHERE event > 0")
        connection.execute("UPDATE batches SET packed = x'1f8b00', tried_at = NULL WHERE id = 1")
    receiver.answer = respond_with(200)
    tried = flush(spool, receiver.endpoint, clock=lambda: NOW + PARKED_RETRY_S)
    assert [sent.batch.id for sent in tried] == [2, 3]
    (damaged,) = batches(spool, states=(PARKED,))
    assert (damaged.id, damaged.outcome, damaged.attempts) == (1, DAMAGED, 1)
    assert len(receiver.requests) == 5


def test_a_damaged_batch_changes_neither_the_schedule_nor_the_retry_after(spool: Home, receiver: "Receiver") -> None:
    receiver.answer = respond_with(429, retry_after="900")
    assert flush_kinds(spool, receiver) == [RETRY]
    with opened(spool) as connection:
        connection.execute("UPDATE batches SET packed = x'1f8b00'")
    before = stored(spool).next_upload
    assert flush_kinds(spool, receiver) == []
    assert stored_retry_after(spool) == {receiver.endpoint.host: NOW + 900}
    assert (stored(spool).next_upload, stored(spool).failures, accounts(spool).parked) == (before, 1, 3)


def test_the_retry_after_of_one_receiver_does_not_apply_to_another(
    spool: Home, receiver: "Receiver", fill: "Fill"
) -> None:
    receiver.answer = respond_with(429, retry_after="900")
    assert flush_kinds(spool, receiver) == [RETRY]
    other = type(receiver)()
    with other.running():
        assert flush_kinds(spool, other) == [DELIVERED]
        assert record("run-suite")
        assert stored_retry_after(spool) == {receiver.endpoint.host: NOW + 900}
        assert (waits(spool, receiver.endpoint, NOW), waits(spool, other.endpoint, NOW)) == (True, False)


def test_an_attempt_without_a_response_does_not_keep_the_outcome_of_the_previous_one(
    spool: Home, receiver: "Receiver"
) -> None:
    receiver.answer = respond_with(413)
    assert flush_kinds(spool, receiver) == [PARKED]

    def die(_: Endpoint, __: bytes) -> Response:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(flush(spool, receiver.endpoint, parked=True, clock=lambda: NOW + 60, post=die))
    (batch,) = batches(spool)
    assert (batch.state, batch.attempts, batch.tried_at, batch.outcome) == (PARKED, 2, NOW + 60, None)


def test_events_dated_tomorrow_are_sent_tomorrow(spool: Home, receiver: "Receiver") -> None:
    day = int(NOW // DAY_S)
    with opened(spool) as connection:
        connection.execute("UPDATE events SET day = ? WHERE event > 0", (day + 1,))
    assert flush_kinds(spool, receiver) == []
    assert [sent.outcome.kind for sent in flush(spool, receiver.endpoint, clock=lambda: NOW + DAY_S)] == [DELIVERED]
    assert b'"%d"' % ((day + 1) * DAY_S * 10**9) in gzip.decompress(receiver.bodies()[0])


@pytest.mark.parametrize(
    ("tried_at", "stale"),
    [(None, True), (NOW, False), (NOW - PARKED_RETRY_S + 1, False), (NOW - PARKED_RETRY_S, True), (NOW + 90_000, True)],
)
def test_a_week_is_measured_with_a_clock_that_may_have_jumped(tried_at: int | None, stale: bool) -> None:
    assert is_stale(tried_at, NOW) is stale


def test_years_of_refusals_stay_within_the_limits_and_no_event_is_lost(
    spool: Home, fill: "Fill", receiver: "Receiver"
) -> None:
    receiver.answer = respond_with(403)
    fill(12_000)
    flush_kinds(spool, receiver)
    refused = batches(spool)
    assert [batch.state for batch in refused] == [PARKED] * MAX_PARKED
    assert flush_kinds(spool, receiver) == []
    totals = accounts(spool)
    assert (totals.parked, totals.pending) == (sum(batch.events for batch in refused), 12_003 - totals.parked)
    receiver.answer = respond_with(200)
    flush_kinds(spool, receiver, parked=True)
    assert (accounts(spool).delivered, accounts(spool).pending) == (12_003, 0)


def test_a_thousand_unknown_events_do_not_hide_the_known_ones(spool: Home, receiver: "Receiver") -> None:
    with opened(spool) as connection:
        connection.execute(
            "WITH RECURSIVE days (day) AS (SELECT 1 UNION ALL SELECT day + 1 FROM days WHERE day < 1500) "
            "INSERT INTO events (day, event, environment) SELECT day, 99, 1 FROM days"
        )
    assert flush_kinds(spool, receiver) == [DELIVERED]
    totals = accounts(spool)
    assert (totals.delivered, totals.pending, totals.dropped) == (3, 0, {"unknown": 1500})


def test_pending_rows_are_checked_once_however_many_batches_they_become(
    spool: Home, receiver: "Receiver", monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(spool) as connection:
        days = range(16_000, 16_000 + 2 * MAX_ROWS)
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO folded VALUES (?, 1, 1, 1)", [(day,) for day in days])
        connection.execute("COMMIT")
    checked: list[str] = []
    check = maintenance._check_integers

    def check_and_note(connection: sqlite3.Connection, table: str) -> None:
        checked.append(table)
        check(connection, table)

    monkeypatch.setattr(maintenance, "_check_integers", check_and_note)
    assert flush_kinds(spool, receiver) == [DELIVERED] * 3
    assert {table: checked.count(table) for table in ("events", "folded", "rows")} == {
        "events": 1,
        "folded": 1,
        "rows": 1,
    }
