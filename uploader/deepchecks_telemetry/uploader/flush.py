"""Flushing: seal, send, settle, one batch after the other; nobody's spool lock is held across a request.

The phases, and what a crash between them means, are told in docs/architecture.md, "Sending".
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
from deepchecks_telemetry.uploader.wire import outcome
from deepchecks_telemetry.uploader.wire.http import post
from deepchecks_telemetry.uploader.wire.otlp import render
from deepchecks_telemetry.uploader.wire.outcome import Answer, Outcome, classify

PARDON_S = 7 * 86_400  # after it, a refused batch is tried again unasked: a gateway's settings may have been mended
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
    insist: bool = False,
    post: Post = post,
    clock: Clock = time.time,
    lock_s: float = 0.0,
) -> Iterator[Sent]:
    """Send what waits, oldest first, until nothing is left or a try fails; one `Sent` for each request.

    With `parked`, all batches that were refused before are tried again, else one a week; with `exported`, those too
    that were exported and are not settled yet; with `insist`, also before the moment that the receiver asked for.
    Raises `NotAllowed`, or the spool's errors (`Busy` while another uploader is at work).
    """
    check_mode(home)
    if not os.path.exists(home.spool):
        return  # and no folder is made for the lock
    if not insist:
        _heed(read_schedule(home).retry_after, clock())
    with hold(home.upload_lock, lock_s):
        for batch in _queue(home, parked=parked, exported=exported, clock=clock):
            check_mode(home)
            if not mark_attempt(home, batch, endpoint.url, clock=clock):
                continue
            tried = _try(home, batch, endpoint, post, clock)
            settle(home, batch, _verdict(batch, tried, read_schedule(home), clock()))
            yield Sent(batch, tried)
            if tried.kind == outcome.RETRY:
                return


def _try(home: Home, batch: Batch, endpoint: Endpoint, post: Post, clock: Clock) -> Outcome:
    if not read_rows(batch.body):  # edited together with its digest; or a newer version's, which can still send it
        return Outcome(outcome.PARKED, "it holds what this version does not know")
    if endpoint.folder is not None:
        return deposit(home, batch, endpoint.folder, endpoint.url)
    return classify(post(endpoint, batch.packed), now=clock())


def _heed(retry_after: int | None, now: float) -> None:
    if retry_after is not None and now < retry_after <= now + outcome.LONGEST_WAIT_S:
        raise NotAllowed(f"the receiver asked not to be called again for {int(retry_after - now)} s")


def seal_next(home: Home, *, clock: Clock = time.time) -> Batch | None:
    """The batch that would be sent next; sealed now if none waits yet. None when there is nothing to send."""
    return next(_fresh(home, clock), None) if os.path.exists(home.spool) else None


def check_mode(home: Home) -> None:
    """Raise `NotAllowed`, naming the source, unless the mode is `on`."""
    decision = decide(home)
    if decision.mode != ON:
        raise NotAllowed(f"telemetry is {decision.mode} here ({decision.decided_by})")


def _queue(home: Home, *, parked: bool, exported: bool, clock: Clock) -> Iterator[Batch]:
    """What waits, oldest first, then what can be sealed now; what a host records meanwhile is for the next time."""
    states = (
        BatchState.SEALED,
        *((BatchState.PARKED,) if parked else ()),
        *((BatchState.EXPORTED,) if exported else ()),
    )
    yield from (batch for batch in batches(home, states=states) if batch.packed)
    if not parked:
        yield from _pardoned(home, clock)
    yield from _fresh(home, clock)


def _fresh(home: Home, clock: Clock) -> Iterator[Batch]:
    yield from batches(home, states=(BatchState.SEALED,))
    full, looked = True, False
    while full and seal(home, render, looked=looked, clock=clock):
        looked = True
        for batch in batches(home, states=(BatchState.SEALED,)):
            full = batch.rows == MAX_ROWS
            yield batch


def _pardoned(home: Home, clock: Clock) -> Iterator[Batch]:
    """The parked batch that was tried longest ago, once a week; where it gets through, those after it too."""
    refused = batches(home, states=(BatchState.PARKED,))
    if not all(is_stale(batch.tried_at, clock()) for batch in refused):
        return
    for batch in sorted(refused, key=lambda batch: batch.tried_at or 0):
        yield batch
        if batch.id in {again.id for again in batches(home, states=(BatchState.PARKED,))}:
            return


def is_stale(tried_at: int | None, now: float) -> bool:
    """Whether a try is a week ago, or at a moment that a clock has jumped back from."""
    return tried_at is None or not now - PARDON_S < tried_at <= now + 86_400


def _verdict(batch: Batch, tried: Outcome, timing: ScheduleState, now: float) -> Disposition:
    # A file of an exported batch is on its way: what is not delivered now stays exported.
    kept = BatchState.EXPORTED if batch.state == BatchState.EXPORTED else None
    if tried.kind == outcome.RETRY:
        wait = None if tried.wait_s is None else int(now) + tried.wait_s
        return Disposition(
            kept or BatchState.SEALED, tried.reason, next_upload=_retry_at(timing, now, wait), retry_after=wait
        )
    due = schedule.next_due(now, timing.installation_id) if timing.installation_id else None
    refused = batch.rows if tried.kind == outcome.REJECTED else tried.rejected_rows
    state = kept or BatchState.PARKED if tried.kind == outcome.PARKED else BatchState(tried.kind)
    return Disposition(state, tried.reason, refused, next_upload=due)


def _retry_at(timing: ScheduleState, now: float, wait: int | None) -> int:
    return max(wait or 0, schedule.retry_due(now, timing.failures))
