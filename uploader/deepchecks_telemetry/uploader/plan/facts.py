"""Reads the facts for `plan` from the settings and the spool; an unreadable spool is a fact, not an error."""

from deepchecks_telemetry.spool.batches.queue import Queue, read_queue
from deepchecks_telemetry.spool.consent.decision import decide
from deepchecks_telemetry.spool.errors import SpoolError
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.uploader.endpoint import find_endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint, NotAllowed
from deepchecks_telemetry.uploader.notice import notice_shown
from deepchecks_telemetry.uploader.plan.decision import Facts
from deepchecks_telemetry.uploader.plan.text import change_mode, explain_mode


def check_mode(home: Home, *allowed: str) -> None:
    """Raise `NotAllowed`, naming the source and the remedy, unless the mode is one of the `allowed`."""
    decision = decide(home)
    if decision.mode not in allowed:
        facts = Facts(decision.mode, decision.decided_by, mode_reason=decision.reason)
        raise NotAllowed(explain_mode(facts), change_mode(decision.decided_by))


def read_facts(home: Home, now: float, *, attached: str | None = None) -> Facts:
    """The facts for the uploader or a command, which have no open connection; problems are among the facts.

    `attached` is the endpoint that deepchecks itself sets; without it, the one stored in the spool is used.
    """
    from deepchecks_telemetry.spool.recovery.maintenance import read_maintained

    queue, problem = Queue(), None
    try:
        queue = read_maintained(home, lambda spool: read_queue(spool.execute, now), queue, check_tables=["batches"])
    except SpoolError as error:
        problem = str(error)
    return assemble(home, queue, attached or queue.attached_endpoint)._replace(spool_error=problem)


def assemble(home: Home, queue: Queue, attached: str | None) -> Facts:
    """The facts for a queue that was read already, and the endpoint that deepchecks itself sets, if any."""
    decision = decide(home, closed=lambda: queue.fence_closed)
    facts = Facts(decision.mode, decision.decided_by, queue=queue, mode_reason=decision.reason)
    try:
        endpoint = find_endpoint(home, attached)
    except BadEndpoint as error:
        return facts._replace(invalid_endpoint=error.problem, endpoint_source=error.source)
    if endpoint is None:
        return facts
    shown = notice_shown(home, endpoint)
    return facts._replace(endpoint=endpoint, endpoint_source=endpoint.source, notice_shown=shown)
