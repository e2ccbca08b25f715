"""Decides whether, where to and when counts are sent: a pure function for the host, the uploader and the commands.

None of them decides otherwise, so what is printed about sending agrees with what then happens.
"""

from enum import Enum
from typing import NamedTuple

from deepchecks_telemetry.spool.batches.queue import MAX_PARKED, Queue
from deepchecks_telemetry.spool.consent.decision import ON
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.schedule import MAX_RETRY_AFTER_S, is_sane


class Command(Enum):
    """What the decision is for. `REPORT`: a command that sends nothing and prints what the automatic upload will do."""

    HOST = "host"
    CHILD = "child"
    FLUSH = "flush"
    REPORT = "report"


class BlockedBy(Enum):
    """Why nothing is sent, in the order in which the reasons are checked."""

    MODE = "mode"
    INVALID_ENDPOINT = "invalid-endpoint"
    NO_ENDPOINT = "no-endpoint"
    SPOOL = "spool"
    FENCE = "fence"
    NOTICE = "notice"
    NOT_DUE = "not-due"
    RETRY_AFTER = "retry-after"
    PARKED = "parked"
    FUTURE_DAY = "future-day"
    NOTHING_PENDING = "nothing-pending"


TEMPORARY = frozenset(
    {
        BlockedBy.NOT_DUE,
        BlockedBy.RETRY_AFTER,
        BlockedBy.NOTHING_PENDING,
        BlockedBy.FUTURE_DAY,
        BlockedBy.PARKED,
    }
)


class Facts(NamedTuple):
    """All that the decision depends on; `invalid_endpoint` and `spool_error` are None if there is no problem.

    `mode_reason` is set if a source counts as off that does not say `off` itself.
    """

    mode: str
    decided_by: str
    endpoint: Endpoint | None = None
    invalid_endpoint: str | None = None
    endpoint_source: str | None = None
    notice_shown: bool = True
    spool_error: str | None = None
    queue: Queue = Queue()
    mode_reason: str | None = None


class Plan(NamedTuple):
    """What is done now, and why; `next_upload` is when the automatic upload is due (Unix seconds), if it is known."""

    command: Command
    blocked_by: BlockedBy | None
    endpoint: Endpoint | None
    next_upload: int | None
    reason: str | None
    remedy: str | None

    @property
    def sends_now(self) -> bool:
        """Whether this command sends now."""
        return self.blocked_by is None and self.command is not Command.REPORT

    @property
    def sends_automatically(self) -> bool:
        """Whether counts are sent, now or later, without any action of the user."""
        return self.blocked_by is None or self.blocked_by in TEMPORARY


def plan(
    facts: Facts, command: Command, now: float, *, ignore_retry_after: bool = False, exported: bool = False
) -> Plan:
    """The decision at the time `now` (Unix seconds); with `exported`, exported batches are sent too."""
    from deepchecks_telemetry.uploader.plan.text import EXPLANATIONS

    blocked = (
        _blocked_by_settings(facts, command)
        or _blocked_by_time(facts, command, now, ignore_retry_after=ignore_retry_after)
        or _blocked_by_queue(facts.queue, command, exported=exported)
    )
    due = facts.queue.next_upload
    planned = due if due is not None and is_sane(due, now) else None
    reason, remedy = EXPLANATIONS[blocked](facts, command, now) if blocked else (None, None)
    automatic = blocked is None or blocked in TEMPORARY
    return Plan(command, blocked, facts.endpoint, planned if automatic else None, reason, remedy)


def retry_after(facts: Facts, now: float) -> int | None:
    """Until when (Unix seconds) the host of the endpoint asked to wait; None if it did not."""
    host = facts.endpoint.host if facts.endpoint else ""
    until = facts.queue.retry_after.get(host) if host else None
    sane = until is not None and now < until <= now + MAX_RETRY_AFTER_S  # also after the clock was set back
    return until if sane else None


def _blocked_by_settings(facts: Facts, command: Command) -> BlockedBy | None:
    if facts.mode != ON:
        return BlockedBy.MODE
    if facts.invalid_endpoint is not None:
        return BlockedBy.INVALID_ENDPOINT
    if facts.endpoint is None:
        return BlockedBy.NO_ENDPOINT
    if facts.spool_error is not None:
        return BlockedBy.SPOOL
    if facts.queue.fence_closed:
        return BlockedBy.FENCE
    # `flush` prints the endpoint before it sends.
    return None if facts.notice_shown or command is Command.FLUSH else BlockedBy.NOTICE


def _blocked_by_time(facts: Facts, command: Command, now: float, *, ignore_retry_after: bool) -> BlockedBy | None:
    due = facts.queue.next_upload
    if command is Command.HOST and (due is None or not is_sane(due, now) or now < due):
        return BlockedBy.NOT_DUE
    return BlockedBy.RETRY_AFTER if retry_after(facts, now) is not None and not ignore_retry_after else None


def _blocked_by_queue(queue: Queue, command: Command, *, exported: bool) -> BlockedBy | None:
    parked = queue.parked_batches - queue.damaged_batches
    tried_again = parked > 0 and (command is Command.FLUSH or not queue.parked_lately)
    sealable = queue.pending > 0 and queue.parked_batches < MAX_PARKED
    if queue.sealed or sealable or tried_again or (exported and queue.exported):
        return None
    if queue.parked_batches:
        return BlockedBy.PARKED
    return BlockedBy.FUTURE_DAY if queue.future else BlockedBy.NOTHING_PENDING
