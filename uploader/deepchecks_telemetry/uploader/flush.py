"""Flushing: seal, send, settle, one batch after the other; no lock on the spool is held across a request.

The phases, and what a crash between them means: docs/architecture.md, "Send".
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from deepchecks_telemetry.spool.batches.ledger import (
    Batch,
    Disposition,
    ScheduleState,
    batches,
    mark_attempt,
    read_schedule,
    settle,
)
from deepchecks_telemetry.spool.batches.queue import DAMAGED, is_stale
from deepchecks_telemetry.spool.batches.seal import MAX_ROWS, seal
from deepchecks_telemetry.spool.consent.decision import ON, decide
from deepchecks_telemetry.spool.db.schema import BatchState
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.uploader import schedule
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.errors import NotAllowed
from deepchecks_telemetry.uploader.offline.bundle import read_rows
from deepchecks_telemetry.uploader.offline.export import deposit
from deepchecks_telemetry.uploader.plan.decision import BlockedBy, Command, Facts, retry_after
from deepchecks_telemetry.uploader.plan.facts import read_facts
from deepchecks_telemetry.uploader.plan.text import explain
from deepchecks_telemetry.uploader.wire import outcome
from deepchecks_telemetry.uploader.wire.causes import UNKNOWN_CONTENT
from deepchecks_telemetry.uploader.wire.http import post
from deepchecks_telemetry.uploader.wire.otlp import render
from deepchecks_telemetry.uploader.wire.outcome import Answer, Outcome, classify

Clock = Callable[[], float]
Post = Callable[[Endpoint, bytes], Answer]


@dataclass(frozen=True, slots=True)
class Sent:
    """One try: the batch as it was, and what became of it."""

    batch: Batch
    outcome: Outcome


def flush(
    home: Home,
    endpoint: Endpoint,
    *,
    parked: bool = False,
    exported: bool = False,
    ignore_retry_after: bool = False,
    post: Post = post,
    clock: Clock = time.time,
    lock_s: float = 0.0,
) -> Iterator[Sent]:
    """Send what is pending, oldest first, until nothing is left or a try fails; one `Sent` for each request.

    With `parked`, all parked batches are tried again, else one a week; with `exported`, also batches that were exported
    and are not settled yet; with `ignore_retry_after`, also before the moment that the receiver asked for. Raises
    `NotAllowed`, or the spool's errors (`Busy` while another uploader is at work).
    """
    check_mode(home)
    if not os.path.exists(home.spool):
        return  # and no folder is made for the lock
    if not ignore_retry_after:
        _check_retry_after(home, endpoint, clock())
    with hold(home.upload_lock, lock_s):
        for batch in _queue(home, parked=parked, exported=exported, clock=clock):
            if not mark_attempt(home, batch, endpoint.url, check=lambda: check_mode(home), clock=clock):
                continue
            tried = _try(home, batch, endpoint, post, clock)
            settle(home, batch, _verdict(batch, tried, read_schedule(home), endpoint, clock()))
            yield Sent(batch, tried)
            if tried.kind == outcome.RETRY:
                return


def _try(home: Home, batch: Batch, endpoint: Endpoint, post: Post, clock: Clock) -> Outcome:
    if not read_rows(batch.body):  # edited together with its digest; or a newer version's, which can still send it
        return Outcome(outcome.PARKED, UNKNOWN_CONTENT)
    if endpoint.folder is not None:
        return deposit(home, batch, endpoint.folder, endpoint.url)
    return classify(post(endpoint, batch.packed), now=clock())


def _check_retry_after(home: Home, endpoint: Endpoint, now: float) -> None:
    facts = read_facts(home, now)._replace(endpoint=endpoint)
    if retry_after(facts, now) is not None:
        raise NotAllowed(*explain(BlockedBy.RETRY_AFTER, facts, Command.FLUSH, now))


def seal_next(home: Home, *, clock: Clock = time.time) -> Batch | None:
    """The batch that would be sent next; sealed now if none is yet. None when there is nothing to send."""
    return next(_fresh(home, clock), None) if os.path.exists(home.spool) else None


def check_mode(home: Home) -> None:
    """Raise `NotAllowed`, naming the source, unless the mode is `on`."""
    decision = decide(home)
    if decision.mode != ON:
        facts = Facts(decision.mode, decision.decided_by, mode_reason=decision.reason)
        raise NotAllowed(*explain(BlockedBy.MODE, facts, Command.FLUSH, 0))


def _queue(home: Home, *, parked: bool, exported: bool, clock: Clock) -> Iterator[Batch]:
    """What is sealed, oldest first, then what can be sealed now; what a host records meanwhile is for the next time."""
    states = (
        BatchState.SEALED,
        *((BatchState.PARKED,) if parked else ()),
        *((BatchState.EXPORTED,) if exported else ()),
    )
    yield from (batch for batch in batches(home, states=states) if batch.packed)
    if not parked:
        yield from _due_parked(home, clock)
    yield from _fresh(home, clock)


def _fresh(home: Home, clock: Clock) -> Iterator[Batch]:
    yield from batches(home, states=(BatchState.SEALED,))
    full, looked = True, False
    while full and seal(home, render, already_checked=looked, clock=clock):
        looked = True
        for batch in batches(home, states=(BatchState.SEALED,)):
            full = batch.rows == MAX_ROWS
            yield batch


def _due_parked(home: Home, clock: Clock) -> Iterator[Batch]:
    """Once a week the parked batch that was tried longest ago; if it gets through, the others too.

    One whose bytes were changed can never be sent: `mark_attempt` notes that, and the others are tried all the same.
    """
    parked = [batch for batch in batches(home, states=(BatchState.PARKED,)) if batch.outcome != DAMAGED]
    if not all(is_stale(batch.tried_at, clock()) for batch in parked):
        return
    for batch in sorted(parked, key=lambda batch: batch.tried_at or 0):
        yield batch
        now = {again.id: again.outcome for again in batches(home, states=(BatchState.PARKED,))}
        if now.get(batch.id, DAMAGED) != DAMAGED:
            return


def _verdict(batch: Batch, tried: Outcome, timing: ScheduleState, endpoint: Endpoint, now: float) -> Disposition:
    # A file of an exported batch is on its way: what is not delivered now stays exported.
    kept = BatchState.EXPORTED if batch.state == BatchState.EXPORTED else None
    if tried.kind == outcome.RETRY:
        wait = None if tried.wait_s is None else int(now) + tried.wait_s
        later = _retry_at(timing, now, wait)
        state = kept or BatchState.SEALED
        return Disposition(state, tried.reason, next_upload=later, retry_after=wait, host=endpoint.host)
    due = schedule.next_due(now, timing.installation_id) if timing.installation_id else None
    refused = batch.rows if tried.kind == outcome.REJECTED else tried.rejected_rows
    state = kept or BatchState.PARKED if tried.kind == outcome.PARKED else BatchState(tried.kind)
    return Disposition(state, tried.reason, refused, next_upload=due, host=endpoint.host)


def _retry_at(timing: ScheduleState, now: float, wait: int | None) -> int:
    return max(wait or 0, schedule.retry_due(now, timing.failures))
