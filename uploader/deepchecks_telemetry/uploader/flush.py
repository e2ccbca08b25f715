"""Seals, sends and settles one batch after the other; no lock of the spool is held during a request.

docs/architecture.md, "Send", describes the phases and what a crash between them means.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from deepchecks_telemetry.spool.batches.ledger import (
    Batch,
    Disposition,
    batches,
    mark_attempt,
    read_schedule,
    settle,
)
from deepchecks_telemetry.spool.batches.queue import DAMAGED, is_stale
from deepchecks_telemetry.spool.batches.seal import MAX_ROWS, seal
from deepchecks_telemetry.spool.consent.decision import ON
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.states import BatchState
from deepchecks_telemetry.uploader import schedule
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.offline.bundle import read_rows
from deepchecks_telemetry.uploader.offline.export import deposit
from deepchecks_telemetry.uploader.plan.facts import check_mode
from deepchecks_telemetry.uploader.wire import outcome
from deepchecks_telemetry.uploader.wire.causes import UNKNOWN_CONTENT
from deepchecks_telemetry.uploader.wire.http import post
from deepchecks_telemetry.uploader.wire.otlp import render
from deepchecks_telemetry.uploader.wire.outcome import Outcome, Response, classify

Clock = Callable[[], float]
Post = Callable[[Endpoint, bytes], Response]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request: the batch as it was before, and the outcome."""

    batch: Batch
    outcome: Outcome


def flush(
    home: Home,
    endpoint: Endpoint,
    *,
    parked: bool = False,
    exported: bool = False,
    post: Post = post,
    clock: Clock = time.time,
    lock_s: float = 0.0,
) -> Iterator[Attempt]:
    """Send what is pending, oldest first, until nothing is left or an attempt must be retried later.

    The caller has asked `plan`, which respects a Retry-After. Yields one `Attempt` for each request. With `parked`, all
    parked batches are retried, otherwise one a week; with `exported`, also batches that were exported and are not
    settled. Raises `NotAllowed`, or the spool's errors (`Busy` while another uploader runs).
    """
    check_mode(home, ON)
    if not os.path.exists(home.spool):
        return  # before a directory is created for the lock
    with hold(home.upload_lock, lock_s):
        for batch in _queue(home, parked=parked, exported=exported, clock=clock):
            if not mark_attempt(home, batch, endpoint.url, check=lambda: check_mode(home, ON), clock=clock):
                continue
            result = _send(home, batch, endpoint, post, clock)
            settle(home, batch, _disposition(home, batch, result, endpoint, clock()))
            yield Attempt(batch, result)
            if result.kind == outcome.RETRY:
                return


def _send(home: Home, batch: Batch, endpoint: Endpoint, post: Post, clock: Clock) -> Outcome:
    if not read_rows(batch.body):  # edited together with its digest; or written by a newer version, which can send it
        return Outcome(outcome.PARKED, UNKNOWN_CONTENT)
    if endpoint.folder is not None:
        return deposit(home, batch, endpoint.folder, endpoint.url)
    return classify(post(endpoint, batch.packed), now=clock())


def seal_next(home: Home, *, clock: Clock = time.time) -> Batch | None:
    """The batch that would be sent next, which is sealed now if none is; None if there is nothing to send."""
    return next(_sealed(home, clock), None) if os.path.exists(home.spool) else None


def _queue(home: Home, *, parked: bool, exported: bool, clock: Clock) -> Iterator[Batch]:
    """The sealed batches, oldest first, then those sealed now; what is recorded meanwhile waits for the next flush."""
    wanted = {BatchState.SEALED: True, BatchState.PARKED: parked, BatchState.EXPORTED: exported}
    states = tuple(state for state, is_wanted in wanted.items() if is_wanted)
    yield from (batch for batch in batches(home, states=states) if batch.packed)
    if not parked:
        yield from _due_parked(home, clock)
    yield from _sealed(home, clock)


def _sealed(home: Home, clock: Clock) -> Iterator[Batch]:
    yield from batches(home, states=(BatchState.SEALED,))
    full, looked = True, False
    while full and seal(home, render, already_checked=looked, clock=clock):
        looked = True
        for batch in batches(home, states=(BatchState.SEALED,)):
            full = batch.rows == MAX_ROWS
            yield batch


def _due_parked(home: Home, clock: Clock) -> Iterator[Batch]:
    """Once a week, the parked batch with the oldest attempt; if it is accepted, the others too.

    A batch whose stored bytes were changed is never sent: `mark_attempt` records that, and the next one is tried.
    """
    parked = [batch for batch in batches(home, states=(BatchState.PARKED,)) if batch.outcome != DAMAGED]
    if not all(is_stale(batch.tried_at, clock()) for batch in parked):
        return
    for batch in sorted(parked, key=lambda batch: batch.tried_at or 0):
        yield batch
        still_parked = {other.id: other.outcome for other in batches(home, states=(BatchState.PARKED,))}
        if still_parked.get(batch.id, DAMAGED) != DAMAGED:
            return


def _disposition(home: Home, batch: Batch, result: Outcome, endpoint: Endpoint, now: float) -> Disposition:
    installation, failures = read_schedule(home)
    # The file of an exported batch may still be delivered, so a batch that is not delivered now stays exported.
    kept = BatchState.EXPORTED if batch.state == BatchState.EXPORTED else None
    if result.kind == outcome.RETRY:
        retry_after = None if result.retry_after_s is None else int(now) + result.retry_after_s
        due = max(retry_after or 0, schedule.retry_due(now, failures))
        state = kept or BatchState.SEALED
        return Disposition(state, result.reason, next_upload=due, retry_after=retry_after, host=endpoint.host)
    next_due = schedule.next_due(now, installation) if installation else None
    rejected = batch.rows if result.kind == outcome.REJECTED else result.rejected_rows
    state = kept or BatchState.PARKED if result.kind == outcome.PARKED else BatchState(result.kind)
    return Disposition(state, result.reason, rejected, next_upload=next_due, host=endpoint.host)
