"""Sending on a later import: the host looks whether an upload is due, and if so starts the uploader's process.

In the host: no socket, no thread, no zombie, nothing on its streams, short transactions; never an exception.
"""

import os
import sys
import time
from typing import TYPE_CHECKING

from deepchecks_telemetry.spool.consent.decision import ON, decide
from deepchecks_telemetry.spool.errors import raise_if_hosts
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.recording.record import access
from deepchecks_telemetry.uploader.endpoint import ATTACHED, find_named
from deepchecks_telemetry.uploader.schedule import CLAIM_S, first_due, is_sane, next_due

if TYPE_CHECKING:
    from deepchecks_telemetry.uploader.plan.decision import Plan

LOOK = "SELECT next_upload, installation FROM spool"
CLAIM = "UPDATE spool SET next_upload = ?, endpoint = coalesce(?, endpoint) WHERE next_upload IS ? AND epoch % 2 = 0"
NOTE = "UPDATE spool SET endpoint = ? WHERE endpoint IS NOT ? AND epoch % 2 = 0"


def upload_if_due(endpoint: str | None = None) -> None:
    """Start the uploader if it is due; `endpoint` is what deepchecks itself was attached with. Never raises."""
    try:
        home = find_home()
        if found := _claim(home, endpoint, time.time()):
            _carry_out(home, found)
    except Exception as error:  # noqa: BLE001 - the host program must never see an error of ours, known or unknown
        raise_if_hosts(error)


def why_no_uploader() -> str | None:
    """Why a program like this process cannot start the uploader, as a clause; None where it can."""
    from deepchecks_telemetry.uploader.child.interpreter import why_no_interpreter
    from deepchecks_telemetry.uploader.child.reaper import why_not_reaped

    return why_no_interpreter() or why_not_reaped()


def _claim(home: Home, attached: str | None, now: float) -> "Plan | None":
    """What is to be done, for the one process, of all that look at the same moment, that does it."""
    if decide(home).mode != ON or not os.path.exists(home.spool) or find_named(home, attached) is None:
        return None
    row = access(lambda execute: execute(LOOK, ()).fetchone())
    if row is None:
        return None
    due, installation = row
    if installation is None or (due is not None and is_sane(due, now) and now < due):
        return None
    found = _plan(home, attached, now)
    if found is None or (found.may_send and why_no_uploader()):
        return None  # unclaimed, so that the next process can start it
    own = _own(found)
    if not _is_acted_on(found):
        if own is not None:
            access(lambda execute: execute(NOTE, (own, own)))
        return None
    later = _next_look(found, now, installation)
    claimed = access(lambda execute: execute(CLAIM, (later, own, due)).rowcount == 1)
    return found._replace(next_upload=later) if claimed else None


def _plan(home: Home, attached: str | None, now: float) -> "Plan | None":
    """The decision of this process; None where there is no endpoint, or the spool cannot be read."""
    from deepchecks_telemetry.spool.batches.queue import read_queue
    from deepchecks_telemetry.uploader.plan.decision import Command, plan
    from deepchecks_telemetry.uploader.plan.facts import assemble

    queue = access(lambda execute: read_queue(execute, now))
    if queue is None:
        return None
    found = plan(assemble(home, queue, attached or queue.attached_endpoint), Command.HOST, now)
    return found if found.endpoint is not None else None


def _is_acted_on(found: "Plan") -> bool:
    """Whether something is done now: not where nothing is ever sent, nor where nobody reads the notice."""
    from deepchecks_telemetry.uploader.notice import is_read_by_a_person
    from deepchecks_telemetry.uploader.plan.decision import BlockedBy

    return found.sends or (found.blocked_by is BlockedBy.NOTICE and is_read_by_a_person(sys.stderr))


def _next_look(found: "Plan", now: float, installation: str) -> int:
    """The moment of the next look: tomorrow at the earliest where this one sends nothing."""
    from deepchecks_telemetry.uploader.plan.decision import BlockedBy

    if found.may_send:
        return int(now) + CLAIM_S
    first = found.blocked_by in (BlockedBy.NOTICE, BlockedBy.NOT_DUE)
    return first_due(now, installation) if first else next_due(now, installation)


def _own(found: "Plan") -> str | None:
    """The endpoint that deepchecks itself sets; it was checked, so it holds no password."""
    return found.endpoint.url if found.endpoint is not None and found.endpoint.source == ATTACHED else None


def _carry_out(home: Home, found: "Plan") -> None:
    """Start the uploader, or show the notice; no lock of ours is held meanwhile."""
    from deepchecks_telemetry.uploader.plan.decision import BlockedBy

    if found.may_send:
        _start(home.state, _own(found))
    elif found.blocked_by is BlockedBy.NOTICE and found.endpoint is not None and found.next_upload is not None:
        from deepchecks_telemetry.uploader.notice import show_notice

        show_notice(home, found.endpoint, found.next_upload, sys.stderr)


def _start(folder: str, endpoint: str | None) -> None:
    from deepchecks_telemetry.uploader.child.start import start

    start(folder, endpoint)
