"""The sentences about sending that are printed: whether counts are sent, why not, and what to do.

Pure functions, except that `change_mode` may name a command without the environment variables of this process.
"""

import time
from collections.abc import Callable

from deepchecks_telemetry.spool.batches.queue import PARKED_RETRY_S
from deepchecks_telemetry.spool.consent.decision import DEFAULT_CHOICE, MODE_VARIABLE, POLICY, SWITCHES, TEST_RUN
from deepchecks_telemetry.spool.files.paths import without_variables
from deepchecks_telemetry.uploader.plan.decision import BlockedBy, Command, Facts, Plan, retry_after
from deepchecks_telemetry.uploader.setting import ATTACHED, VARIABLE
from deepchecks_telemetry.uploader.wire.causes import AUTOMATIC, REMOVE_SPOOL

Explanation = tuple[str, str | None]  # the reason, and the remedy if one is needed
ENABLE = "deepchecks telemetry enable"
FLUSH = "deepchecks telemetry flush"
SET_ENDPOINT = f"{ENABLE} --endpoint https://HOST"
ADMINISTRATOR = "only your administrator can change it"


def summarize(plan: Plan) -> str:
    """Whether counts are sent automatically, in one sentence."""
    if plan.endpoint is not None and plan.sends_automatically:
        now = f" Not now: {plan.reason}." if plan.reason else ""
        return f"Counts are sent to {plan.endpoint.url}, at most once a day.{now}"
    if plan.blocked_by is BlockedBy.NOTICE and plan.endpoint is not None:
        return f"Nothing is sent automatically to {plan.endpoint.url}: {plan.reason}."
    return f"Nothing is sent: {plan.reason}."


def change_mode(decided_by: str) -> str:
    """How to change the mode that `decided_by` decided."""
    if decided_by == POLICY:
        return ADMINISTRATOR
    if decided_by == TEST_RUN:
        return f"set {MODE_VARIABLE}=on"
    if decided_by == DEFAULT_CHOICE:
        return without_variables(ENABLE)
    return f"unset {decided_by}" if decided_by in SWITCHES else ENABLE


def change_endpoint(source: str | None) -> str:
    """How to correct the endpoint that `source` set; sources after it in the order have no effect."""
    if source == POLICY:
        return ADMINISTRATOR
    return f"correct or unset {VARIABLE}" if source == VARIABLE else SET_ENDPOINT


def time_text(seconds: int) -> str:
    """Unix seconds as ISO 8601 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def explain_mode(facts: Facts) -> str:
    """The mode and its source, as a clause."""
    why = f" ({facts.mode_reason})" if facts.mode_reason else ""
    return f"telemetry is {facts.mode}, decided by {facts.decided_by}{why}"


def _notice(*_: object) -> Explanation:
    return (
        f"the endpoint is set by {ATTACHED}, and its notice has not been shown yet",
        f"import deepchecks in a terminal or a notebook to see the notice, or run {ENABLE}, or {FLUSH}",
    )


def _not_due(facts: Facts, _: Command, now: float) -> Explanation:
    due = facts.queue.next_upload
    later = due is not None and due > now
    return (f"the next upload is due at {time_text(due)}" if later and due else "no upload is scheduled yet"), None


def _retry_after(facts: Facts, command: Command, now: float) -> Explanation:
    host = facts.endpoint.host if facts.endpoint else None
    until = retry_after(facts, now) or 0
    reason = f"{host} asked to wait until {time_text(until)} (Retry-After)"
    return reason, f"{FLUSH} --now" if command is Command.FLUSH else f"{AUTOMATIC}; {FLUSH} --now does not wait"


def _future_day(facts: Facts, *_: object) -> Explanation:
    events = "1 event is" if facts.queue.future == 1 else f"{facts.queue.future:,} events are"
    return f"{events} dated in the future: the clock was ahead", "check the clock; they are sent when that day comes"


def _parked(facts: Facts, command: Command, _: float) -> Explanation:
    queue = facts.queue
    reason = "1 batch is parked" if queue.parked_batches == 1 else f"{queue.parked_batches} batches are parked"
    if queue.damaged_batches == queue.parked_batches:
        return f"{reason}, because the stored bytes were changed", REMOVE_SPOOL
    if command is Command.FLUSH:
        return reason, FLUSH
    if queue.last_parked_try is None:
        return reason, f"run {FLUSH}"
    retried = time_text(queue.last_parked_try + PARKED_RETRY_S)
    return reason, f"run {FLUSH}; one of them is retried automatically from {retried}"


# Why nothing is sent now, and what to do about it.
EXPLANATIONS: dict[BlockedBy, Callable[[Facts, Command, float], Explanation]] = {
    BlockedBy.MODE: lambda facts, *_: (explain_mode(facts), change_mode(facts.decided_by)),
    BlockedBy.INVALID_ENDPOINT: lambda facts, *_: (
        f"{facts.invalid_endpoint} (set by {facts.endpoint_source})",
        change_endpoint(facts.endpoint_source),
    ),
    BlockedBy.NO_ENDPOINT: lambda *_: ("no endpoint is set", SET_ENDPOINT),
    BlockedBy.SPOOL: lambda facts, *_: (str(facts.spool_error), "deepchecks telemetry doctor"),
    BlockedBy.FENCE: lambda *_: ("an earlier disable closed the spool", ENABLE),
    BlockedBy.NOTICE: _notice,
    BlockedBy.NOT_DUE: _not_due,
    BlockedBy.RETRY_AFTER: _retry_after,
    BlockedBy.NOTHING_PENDING: lambda *_: ("nothing is pending", None),
    BlockedBy.FUTURE_DAY: _future_day,
    BlockedBy.PARKED: _parked,
}
