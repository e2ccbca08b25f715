"""Flushing over real HTTP: what is previewed is what arrives, and after each answer every event is in one state."""

import gzip
import hashlib
import json
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import pytest

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
from deepchecks_telemetry.spool.recovery import maintenance as upkeep
from deepchecks_telemetry.spool.stats import Accounts, read_accounts
from deepchecks_telemetry.spool.wipe import erase
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.errors import NotAllowed
from deepchecks_telemetry.uploader.flush import flush, seal_next
from deepchecks_telemetry.uploader.schedule import DAY_S, MAX_RETRY_AFTER_S
from deepchecks_telemetry.uploader.wire.outcome import DELIVERED, PARKED, REJECTED, RETRY, Response

if TYPE_CHECKING:
    from tests.uploader.conftest import Fill, Receiver, Request

NOW = 1_800_000_000.0
STATUS = b'{"code":3,"message":"the body is no request"}'
PATIENCE_S = 30


def books(home: Home) -> Accounts:
    """The accounts; at every moment, no event is lost or in two states."""
    found = read_accounts(home)
    assert found.balance == 0
    return found


def asked(home: Home) -> dict[str, int]:
    """Until when each receiver asked not to be called."""
    with opened(home) as connection:
        return dict(connection.execute("SELECT host, until FROM retry_after").fetchall())


def kinds(home: Home, receiver: "Receiver", **how: Any) -> list[str]:
    return [sent.outcome.kind for sent in flush(home, receiver.endpoint, clock=lambda: NOW, **how)]


def always(status: int, body: bytes = b"{}", **headers: str) -> "Any":
    return lambda _: Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def counts(body: bytes) -> dict[str, int]:
    """Each uid of a packed body with its count."""
    return {
        record["attributes"][0]["value"]["stringValue"]: int(record["attributes"][1]["value"]["intValue"])
        for resource in json.loads(gzip.decompress(body))["resourceLogs"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
    }


def test_what_is_previewed_is_what_arrives_byte_for_byte(spool: Home, receiver: "Receiver") -> None:
    previewed = seal_next(spool)
    assert previewed is not None
    assert books(spool).sealed == 3
    (sent,) = flush(spool, receiver.endpoint)
    (arrived,) = receiver.bodies()
    assert gzip.decompress(arrived) == previewed.body
    assert hashlib.sha256(gzip.decompress(arrived)).hexdigest() == previewed.sha256
    assert sent.batch.packed == previewed.packed == arrived
    assert sorted(counts(arrived).values()) == [1, 2]
    (kept,) = batches(spool, states=(DELIVERED,))
    assert (kept.packed, kept.sha256, kept.endpoint) == (arrived, previewed.sha256, receiver.endpoint.url)
    after = books(spool)
    assert (after.delivered, after.pending, after.sealed, after.recorded) == (3, 0, 0, 3)


def test_looking_again_shows_the_same_bytes(spool: Home) -> None:
    first = seal_next(spool)
    assert record("run-suite")
    assert first == seal_next(spool)


@pytest.mark.parametrize(
    "answer",
    [always(503, STATUS), always(429), always(502), always(504), always(200, b"<html>Log in</html>"), always(302)],
)
def test_an_answer_that_is_no_answer_keeps_everything_and_the_same_bytes_go_again(
    spool: Home, receiver: "Receiver", answer: "Any"
) -> None:
    receiver.answer = answer
    assert kinds(spool, receiver) == [RETRY]
    kept = books(spool)
    assert (kept.sealed, kept.delivered, kept.failures) == (3, 0, 1)
    assert kept.next_upload is not None
    assert NOW + 60 <= kept.next_upload <= NOW + 60 + 600
    assert record("run-suite")
    assert kinds(spool, receiver) == [RETRY]
    assert books(spool).failures == 2
    receiver.answer = always(200)
    assert kinds(spool, receiver) == [DELIVERED, DELIVERED]
    first, second, third, fourth = receiver.bodies()
    assert first == second == third
    assert list(counts(fourth).values()) == [1]
    assert not counts(fourth).keys() & counts(first).keys()
    after = books(spool)
    assert (after.delivered, after.pending, after.sealed, after.failures) == (4, 0, 0, 0)
    assert after.next_upload is not None
    assert NOW < after.next_upload < NOW + 2 * DAY_S


def test_a_refused_connection_keeps_everything(spool: Home) -> None:
    nobody = Endpoint("http://127.0.0.1:1/v1/logs", "a test")
    assert [sent.outcome.kind for sent in flush(spool, nobody)] == [RETRY]
    assert books(spool).sealed == 3


def test_a_moment_that_the_receiver_asked_for_is_kept_by_all_unless_told_otherwise(
    spool: Home, receiver: "Receiver"
) -> None:
    receiver.answer = always(503, retry_after="900")
    assert kinds(spool, receiver) == [RETRY]
    waiting = books(spool)
    assert asked(spool) == {receiver.endpoint.host: NOW + 900}
    assert waiting.next_upload is not None
    assert waiting.next_upload >= NOW + 900
    receiver.answer = always(200)
    for moment in (NOW, NOW + 899):
        with pytest.raises(NotAllowed, match=f"{receiver.endpoint.host} asked to wait until "):
            list(flush(spool, receiver.endpoint, clock=lambda now=moment: now))  # type: ignore[misc]
    assert len(receiver.requests) == 1
    assert kinds(spool, receiver, ignore_retry_after=True) == [DELIVERED]
    assert asked(spool) == {}


@pytest.mark.parametrize("now", [NOW + 900, NOW - MAX_RETRY_AFTER_S - 1])
def test_the_moment_passes_and_a_clock_that_jumped_back_does_not_prolong_it(
    spool: Home, receiver: "Receiver", now: float
) -> None:
    receiver.answer = always(503, retry_after="900")
    assert kinds(spool, receiver) == [RETRY]
    receiver.answer = always(200)
    assert [sent.outcome.kind for sent in flush(spool, receiver.endpoint, clock=lambda: now)] == [DELIVERED]


@pytest.mark.parametrize(("rows", "rejected", "delivered"), [("0", 0, 3), ("1", 1, 2), ("2", 3, 0), ("99", 3, 0)])
def test_a_partial_success_is_final_and_its_refused_rows_are_booked(
    spool: Home, receiver: "Receiver", rows: str, rejected: int, delivered: int
) -> None:
    receiver.answer = always(200, json.dumps({"partialSuccess": {"rejectedLogRecords": rows}}).encode())
    assert kinds(spool, receiver) == [DELIVERED]
    assert kinds(spool, receiver) == []
    after = books(spool)
    assert (after.delivered, after.rejected, after.sealed) == (delivered, rejected, 0)


def test_a_400_of_an_otlp_receiver_retires_the_batch_visibly(spool: Home, receiver: "Receiver") -> None:
    receiver.answer = always(400, STATUS)
    assert kinds(spool, receiver) == [REJECTED]
    assert kinds(spool, receiver, parked=True) == []
    assert (books(spool).rejected, books(spool).sealed) == (3, 0)
    (kept,) = batches(spool)
    assert (kept.state, kept.rejected, kept.outcome) == (REJECTED, 3, "HTTP 400: the receiver cannot accept this batch")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 500])
def test_a_refused_batch_is_parked_later_ones_get_their_turn_and_it_can_be_tried_again(
    spool: Home, receiver: "Receiver", status: int
) -> None:
    receiver.answer = always(status, b"<html>no</html>")
    assert kinds(spool, receiver) == [PARKED]
    assert (books(spool).parked, len(batches(spool, states=(PARKED,)))) == (3, 1)
    receiver.answer = always(200)
    assert kinds(spool, receiver) == []
    assert record("run-suite")
    assert kinds(spool, receiver) == [DELIVERED]
    assert (books(spool).parked, books(spool).delivered) == (3, 1)
    assert kinds(spool, receiver, parked=True) == [DELIVERED]
    refused, later, again = receiver.bodies()
    assert refused == again != later
    assert (books(spool).parked, books(spool).delivered) == (0, 4)


def test_many_rows_go_in_several_batches_oldest_first_and_one_that_is_refused_holds_none_up(
    spool: Home, fill: "Fill", receiver: "Receiver"
) -> None:
    fill(2_500)
    receiver.answer = lambda _: Response(403 if len(receiver.requests) == 1 else 200, {}, b"{}")
    assert kinds(spool, receiver) == [PARKED, DELIVERED, DELIVERED]
    assert (books(spool).parked, books(spool).delivered) == (1_000, 1_503)
    assert kinds(spool, receiver, parked=True) == [DELIVERED]
    bodies = receiver.bodies()
    assert bodies[0] == bodies[3]
    assert [len(counts(body)) for body in bodies] == [1_000, 1_000, 502, 1_000]
    assert len(set().union(*map(counts, bodies))) == 2_502
    assert sum(sum(counts(body).values()) for body in bodies[:3]) == 2_503


def test_a_failed_try_leaves_the_later_batches_for_another_time(
    spool: Home, fill: "Fill", receiver: "Receiver"
) -> None:
    fill(1_500)
    receiver.answer = always(503)
    assert kinds(spool, receiver) == [RETRY]
    assert (books(spool).sealed, books(spool).pending) == (1_000, 503)


def test_a_failed_try_is_the_last_of_several_that_wait(spool: Home, receiver: "Receiver") -> None:
    receiver.answer = always(403)
    assert kinds(spool, receiver) == [PARKED]
    assert record("run-suite")
    assert kinds(spool, receiver) == [PARKED]
    receiver.answer = always(503)
    assert kinds(spool, receiver, parked=True) == [RETRY]
    assert len(receiver.requests) == 3
    assert (books(spool).sealed, books(spool).parked) == (3, 1)


def test_a_host_that_records_all_the_time_does_not_keep_the_uploader_at_work(spool: Home, receiver: "Receiver") -> None:
    def answer(_: "Request") -> Response:
        assert len(receiver.requests) < 5
        assert record("run-check")
        return Response(200, {}, b"{}")

    receiver.answer = answer
    assert seal_next(spool) is not None
    assert kinds(spool, receiver) == [DELIVERED, DELIVERED]
    assert (books(spool).delivered, books(spool).pending) == (4, 1)


def test_of_two_uploaders_one_is_told_that_the_other_is_at_work(spool: Home, receiver: "Receiver") -> None:
    told: list[BaseException] = []

    def answer(_: "Request") -> Response:
        try:
            list(flush(spool, receiver.endpoint))
        except Busy as error:
            told.append(error)
        return Response(200, {}, b"{}")

    receiver.answer = answer
    assert kinds(spool, receiver) == [DELIVERED]
    assert len(told) == len(receiver.requests) == 1
    assert books(spool).delivered == 3


@pytest.mark.parametrize("mode", [LOCAL, OFF, "ON?"])
def test_a_mode_other_than_on_sends_nothing_and_says_who_decided(
    spool: Home, receiver: "Receiver", mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY", mode)
    with pytest.raises(NotAllowed, match="DEEPCHECKS_TELEMETRY"):
        list(flush(spool, receiver.endpoint, ignore_retry_after=True, parked=True))
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY", ON)
    choose(spool, mode)
    with pytest.raises(NotAllowed, match="your choice"):
        list(flush(spool, receiver.endpoint, ignore_retry_after=True, parked=True))
    assert receiver.requests == []
    assert books(spool).pending == 3


def test_a_change_of_mind_stops_before_the_next_request(spool: Home, fill: "Fill", receiver: "Receiver") -> None:
    fill(1_500)

    def answer(_: "Request") -> Response:
        choose(spool, LOCAL)
        return Response(200, {}, b"{}")

    receiver.answer = answer
    with pytest.raises(NotAllowed):
        kinds(spool, receiver)
    assert len(receiver.requests) == 1
    assert (books(spool).delivered, books(spool).sealed + books(spool).pending) == (1_000, 503)


def test_a_change_of_mind_counts_up_to_the_moment_before_the_request(
    spool: Home, receiver: "Receiver", monkeypatch: pytest.MonkeyPatch
) -> None:
    """`disable` in the default folders knows nothing of an upload from others: it gives it 20 ms to see the choice."""

    def wait_for_the_lock(home: Home, batch: Batch) -> bool:
        choose(spool, LOCAL)
        return not batch.body

    monkeypatch.setattr(ledger, "park_if_damaged", wait_for_the_lock)
    with pytest.raises(NotAllowed):
        kinds(spool, receiver)
    assert receiver.requests == []
    assert [(batch.attempts, batch.tried_at) for batch in batches(spool)] == [(0, None)]


def test_disable_waits_for_the_request_in_flight_and_no_other_starts(
    spool: Home, fill: "Fill", receiver: "Receiver"
) -> None:
    fill(1_500)
    waits, erased = threading.Event(), threading.Event()

    def disable() -> None:
        erase(spool, on_wait=waits.set)
        erased.set()

    eraser = threading.Thread(target=disable)

    def answer(_: "Request") -> Response:
        eraser.start()
        assert waits.wait(PATIENCE_S)
        assert not erased.is_set()
        return Response(200, {}, b"{}")

    receiver.answer = answer
    assert kinds(spool, receiver) == [DELIVERED]
    assert erased.wait(PATIENCE_S)
    eraser.join(PATIENCE_S)
    assert len(receiver.requests) == 1
    after = books(spool)
    assert (after.delivered, after.sealed, after.pending, after.installation_id) == (0, 0, 0, None)
    assert batches(spool) == []


def test_an_uploader_that_dies_between_the_answer_and_the_books_sends_the_same_bytes_again(
    spool: Home, receiver: "Receiver"
) -> None:
    bodies: list[bytes] = []

    def die(_: Endpoint, packed: bytes) -> Response:
        bodies.append(packed)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kinds(spool, receiver, post=die)
    assert books(spool).sealed == 3
    assert batches(spool)[0].attempts == 1
    assert kinds(spool, receiver) == [DELIVERED]
    assert receiver.bodies() == bodies
    assert books(spool).delivered == 3


def test_where_nothing_was_ever_recorded_nothing_is_sent_and_no_folder_is_made(receiver: "Receiver") -> None:
    home = find_home()
    assert list(flush(home, receiver.endpoint)) == []
    assert seal_next(home) is None
    assert receiver.requests == []
    assert not os.path.exists(home.state)


def test_a_second_flush_finds_nothing(spool: Home, receiver: "Receiver") -> None:
    assert kinds(spool, receiver) == [DELIVERED]
    assert kinds(spool, receiver) == []
    assert seal_next(spool) is None
    assert len(receiver.requests) == 1


def test_a_gateways_token_is_sent_and_kept_nowhere_in_the_spool(spool: Home, receiver: "Receiver") -> None:
    endpoint = Endpoint(receiver.endpoint.url, "a test", {"X-Token": "hush-hush"})
    assert [sent.outcome.kind for sent in flush(spool, endpoint)] == [DELIVERED]
    assert receiver.requests[0].headers["x-token"] == "hush-hush"
    with opened(spool) as connection:
        assert "hush-hush" not in "".join(connection.iterdump())


def test_a_refused_batch_is_tried_again_unasked_once_a_week_and_where_it_gets_through_so_are_the_others(
    spool: Home, receiver: "Receiver"
) -> None:
    receiver.answer = always(403)

    def tried(now: float) -> list[int]:
        return [sent.batch.id for sent in flush(spool, receiver.endpoint, clock=lambda: now)]

    for number in (1, 2, 3):
        assert record("run-suite")
        assert tried(NOW + number) == [number]
    assert [tried(NOW + 10 + PARKED_RETRY_S * week) for week in (1, 2, 3, 4)] == [[1], [2], [3], [1]]
    assert tried(NOW + 5 * PARKED_RETRY_S) == []
    receiver.answer = always(200)
    assert tried(NOW + 10 + PARKED_RETRY_S * 5) == [2, 3, 1]
    assert (books(spool).delivered, books(spool).parked) == (6, 0)


def test_a_parked_batch_whose_bytes_were_changed_keeps_no_other_from_its_weekly_try(
    spool: Home, receiver: "Receiver"
) -> None:
    receiver.answer = always(403)
    for _ in range(3):
        assert kinds(spool, receiver) == [PARKED]
        assert record("run-suite")
    with opened(spool) as connection:
        connection.execute("DELETE FROM events WHERE event > 0")
        connection.execute("UPDATE batches SET packed = x'1f8b00', tried_at = NULL WHERE id = 1")
    receiver.answer = always(200)
    tried = flush(spool, receiver.endpoint, clock=lambda: NOW + PARKED_RETRY_S)
    assert [sent.batch.id for sent in tried] == [2, 3]
    (damaged,) = batches(spool, states=(PARKED,))
    assert (damaged.id, damaged.outcome, damaged.attempts) == (1, DAMAGED, 1)
    assert len(receiver.requests) == 5


def test_a_batch_whose_bytes_were_changed_leaves_the_schedule_and_the_pause_as_they_are(
    spool: Home, receiver: "Receiver"
) -> None:
    receiver.answer = always(429, retry_after="900")
    assert kinds(spool, receiver) == [RETRY]
    with opened(spool) as connection:
        connection.execute("UPDATE batches SET packed = x'1f8b00'")
    before = books(spool)
    assert kinds(spool, receiver, ignore_retry_after=True) == []
    after = books(spool)
    assert asked(spool) == {receiver.endpoint.host: NOW + 900}
    assert (after.next_upload, after.failures, after.parked) == (before.next_upload, 1, 3)


def test_a_pause_that_one_receiver_asked_for_does_not_hold_for_another(
    spool: Home, receiver: "Receiver", fill: "Fill"
) -> None:
    receiver.answer = always(429, retry_after="900")
    assert kinds(spool, receiver) == [RETRY]
    other = type(receiver)()
    with other.running():
        assert kinds(spool, other) == [DELIVERED]
        assert record("run-suite")
        assert asked(spool) == {receiver.endpoint.host: NOW + 900}
        with pytest.raises(NotAllowed, match=receiver.endpoint.host):
            kinds(spool, receiver)
        assert kinds(spool, other) == [DELIVERED]
    assert len(receiver.requests) == 1


def test_a_try_that_ended_without_an_answer_is_not_shown_with_the_outcome_of_the_one_before(
    spool: Home, receiver: "Receiver"
) -> None:
    receiver.answer = always(413)
    assert kinds(spool, receiver) == [PARKED]

    def die(_: Endpoint, __: bytes) -> Response:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(flush(spool, receiver.endpoint, parked=True, clock=lambda: NOW + 60, post=die))
    (batch,) = batches(spool)
    assert (batch.state, batch.attempts, batch.tried_at, batch.outcome) == (PARKED, 2, NOW + 60, None)


def test_what_is_dated_tomorrow_is_sent_tomorrow(spool: Home, receiver: "Receiver") -> None:
    day = int(NOW // DAY_S)
    with opened(spool) as connection:
        connection.execute("UPDATE events SET day = ? WHERE event > 0", (day + 1,))
    assert kinds(spool, receiver) == []
    assert [sent.outcome.kind for sent in flush(spool, receiver.endpoint, clock=lambda: NOW + DAY_S)] == [DELIVERED]
    assert b'"%d"' % ((day + 1) * DAY_S * 10**9) in gzip.decompress(receiver.bodies()[0])


@pytest.mark.parametrize(
    ("tried_at", "stale"),
    [(None, True), (NOW, False), (NOW - PARKED_RETRY_S + 1, False), (NOW - PARKED_RETRY_S, True), (NOW + 90_000, True)],
)
def test_a_week_is_counted_by_a_clock_that_may_have_jumped(tried_at: int | None, stale: bool) -> None:
    assert is_stale(tried_at, NOW) is stale


def test_years_of_refusals_stay_within_bounds_and_no_event_is_lost(
    spool: Home, fill: "Fill", receiver: "Receiver"
) -> None:
    receiver.answer = always(403)
    fill(12_000)
    kinds(spool, receiver)
    refused = batches(spool)
    assert [batch.state for batch in refused] == [PARKED] * MAX_PARKED
    assert kinds(spool, receiver) == []
    found = books(spool)
    assert (found.parked, found.pending) == (sum(batch.events for batch in refused), 12_003 - found.parked)
    receiver.answer = always(200)
    kinds(spool, receiver, parked=True)
    assert (books(spool).delivered, books(spool).pending) == (12_003, 0)


def test_a_thousand_counts_that_are_not_ours_do_not_hide_those_behind_them(spool: Home, receiver: "Receiver") -> None:
    with opened(spool) as connection:
        connection.execute(
            "WITH RECURSIVE days (day) AS (SELECT 1 UNION ALL SELECT day + 1 FROM days WHERE day < 1500) "
            "INSERT INTO events (day, event, environment) SELECT day, 99, 1 FROM days"
        )
    assert kinds(spool, receiver) == [DELIVERED]
    found = books(spool)
    assert (found.delivered, found.pending, found.dropped) == (3, 0, {"unknown": 1500})


def test_what_waits_is_looked_through_once_however_many_batches_it_makes(
    spool: Home, receiver: "Receiver", monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(spool) as connection:
        days = range(16_000, 16_000 + 2 * MAX_ROWS)
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO folded VALUES (?, 1, 1, 1)", [(day,) for day in days])
        connection.execute("COMMIT")
    seen: list[str] = []
    check = upkeep._check_place

    def watched(connection: sqlite3.Connection, table: str) -> None:
        seen.append(table)
        check(connection, table)

    monkeypatch.setattr(upkeep, "_check_place", watched)
    assert kinds(spool, receiver) == [DELIVERED] * 3
    assert {table: seen.count(table) for table in ("events", "folded", "rows")} == {"events": 1, "folded": 1, "rows": 1}
