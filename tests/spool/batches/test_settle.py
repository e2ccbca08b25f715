"""Settling a batch without rows, beside unsent batches, and without times."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.spool.stored import stored

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.ledger import (
    KEPT_BATCHES,
    MAX_BODY_BYTES,
    Batch,
    Disposition,
    batches,
    mark_attempt,
    settle,
)
from deepchecks_telemetry.spool.errors import Damaged
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.states import STATES, BatchState, in_states
from deepchecks_telemetry.spool.stats import read_accounts

Sql = Callable[..., list[Any]]
Seal = Callable[..., Batch]
URL = "https://collector.example.org/v1/logs"
HOST = "a.example"
WAITS = "SELECT host, until FROM retry_after"


@pytest.mark.parametrize(("refused", "rejected"), [(0, 0), (1, 1), (2, 3), (99, 3)])
def test_without_rows_each_rejected_row_counts_as_one_event_at_least(
    dirs: Home, sealed: Seal, sql: Sql, refused: int, rejected: int
) -> None:
    """A dropped export keeps its totals, but not its rows."""
    batch = sealed("run-check", "run-check", "run-suite")
    assert batch.rows == 2
    sql("DELETE FROM rows")
    assert settle(dirs, batch, Disposition(BatchState.DELIVERED, "a test", rejected_rows=refused), reschedule=False)
    stats = read_accounts(dirs)
    assert (stats.rejected, stats.delivered, stats.balance) == (rejected, 3 - rejected, 0)


def test_unsent_batches_do_not_displace_settled_ones(dirs: Home, sealed: Seal) -> None:
    for state in ["delivered", "rejected"] * (KEPT_BATCHES // 2):
        assert settle(dirs, sealed("run-check"), Disposition(BatchState(state), "a test"))
    for state in ("parked", "exported", "delivered", "delivered"):
        assert settle(dirs, sealed("run-check"), Disposition(BatchState(state), "a test"))
    finished = [batch.id for batch in batches(dirs, states=("delivered", "rejected"))]
    assert finished == [*range(3, KEPT_BATCHES + 1), KEPT_BATCHES + 3, KEPT_BATCHES + 4]
    assert [batch.state for batch in batches(dirs, states=("parked", "exported"))] == ["parked", "exported"]


def test_settling_one_batch_changes_no_other(dirs: Home, sealed: Seal, sql: Sql) -> None:
    first, second, third = (sealed(*["run-check"] * count, *["run-suite"] * (count + 1)) for count in (1, 2, 1))
    assert mark_attempt(dirs, second, URL, clock=lambda: 7.0)
    assert settle(dirs, second, Disposition(BatchState.DELIVERED, "a test", rejected_rows=1))
    one, _, three = batches(dirs)
    assert (one, three) == (first, third)
    assert sql("SELECT batch, count(*) FROM rows GROUP BY 1") == [(first.id, 2), (third.id, 2)]
    assert (read_accounts(dirs).rejected, read_accounts(dirs).delivered) == (2, 3)


@pytest.mark.parametrize(
    ("state", "tried"),
    [("sealed", True), ("parked", True), ("exported", True), ("delivered", False), ("rejected", False)],
)
def test_a_batch_that_is_not_final_can_be_tried_again(dirs: Home, sealed: Seal, state: str, tried: bool) -> None:
    batch = sealed("run-check")
    assert settle(dirs, batch, Disposition(BatchState(state), "a test"))
    assert mark_attempt(dirs, batch, URL) is tried
    assert batches(dirs)[0].attempts == int(tried)


def test_a_receipt_does_not_change_the_schedule(dirs: Home, sealed: Seal, sql: Sql) -> None:
    batch, other = sealed("run-check"), sealed("run-suite")
    refused = Disposition(BatchState.SEALED, "refused", next_upload=100, retry_after=50, host=HOST)
    assert settle(dirs, other, refused)
    assert settle(dirs, batch, Disposition(BatchState.DELIVERED, "a test", next_upload=900), reschedule=False)
    assert (stored(dirs).failures, stored(dirs).next_upload) == (1, 100)
    assert sql(WAITS) == [(HOST, 50)]


def test_a_disposition_without_times_keeps_the_schedule_but_no_retry_after(dirs: Home, sealed: Seal, sql: Sql) -> None:
    batch = sealed("run-check")
    refused = Disposition(BatchState.SEALED, "refused", next_upload=100, retry_after=50, host=HOST)
    assert settle(dirs, batch, refused)
    assert settle(dirs, batch, Disposition(BatchState.PARKED, "refused", host=HOST))
    assert (stored(dirs).failures, stored(dirs).next_upload) == (0, 100)
    assert sql(WAITS) == []


def test_batches_are_listed_oldest_first(dirs: Home, sealed: Seal) -> None:
    made = [sealed("run-check").id for _ in range(3)]
    assert [batch.id for batch in batches(dirs)] == made == sorted(made)


@pytest.mark.parametrize("digest", ["0" * 64, "f" * 64])
def test_bytes_with_another_digest_are_damage(dirs: Home, sealed: Seal, sql: Sql, digest: str) -> None:
    sealed("run-check")
    sql("UPDATE batches SET sha256 = ?", digest)
    with pytest.raises(Damaged):
        _ = batches(dirs)[0].body


def test_a_body_is_decompressed_up_to_some_megabytes() -> None:
    assert 2**20 < MAX_BODY_BYTES <= 2**23


def test_a_state_is_its_value_for_sql_json_and_people(sql: Sql, dirs: Home) -> None:
    assert record("run-check")
    assert [f"{state}" for state in BatchState] == [str(state.value) for state in BatchState]
    assert json.dumps([BatchState.SEALED]) == '["sealed"]'
    assert sql("SELECT ?, typeof(?)", BatchState.SEALED, BatchState.SEALED) == [("sealed", "text")]
    assert hash(BatchState.SEALED) == hash("sealed")
    assert in_states(BatchState.SEALED, BatchState.PARKED) == "('sealed', 'parked')"
    assert {*STATES, BatchState.PENDING} == {*BatchState}
