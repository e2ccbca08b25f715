"""Checks in the host, at an import, whether an upload is due, and starts the uploader process; never raises.

In the host it uses no socket and no thread, leaves no zombie, writes nothing to its streams (except the notice), and
keeps its transactions short.
"""

import os
import sys
import time
from typing import TYPE_CHECKING

from deepchecks_telemetry.spool.consent.decision import ON, decide
from deepchecks_telemetry.spool.errors import raise_if_hosts
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.recording.record import access
from deepchecks_telemetry.uploader.schedule import CLAIM_S, first_due, is_sane, next_due
from deepchecks_telemetry.uploader.setting import ATTACHED, find_setting

if TYPE_CHECKING:
    from deepchecks_telemetry.uploader.plan.decision import Plan

SELECT_DUE = "SELECT next_upload, installation FROM spool"
CLAIM = "UPDATE spool SET next_upload = ?, endpoint = coalesce(?, endpoint) WHERE next_upload IS ? AND epoch % 2 = 0"
STORE_ENDPOINT = "UPDATE spool SET endpoint = ? WHERE endpoint IS NOT ? AND epoch % 2 = 0"


def upload_if_due(endpoint: str | None = None) -> None:
    """Start the uploader process if an upload is due; `endpoint` is the one that deepchecks was attached with."""
    try:
        home = find_home()
        if planned := _claim(home, endpoint, time.time()):
            _execute(home, planned)
    except Exception as error:  # noqa: BLE001 - the host program must never see an error of this package
        raise_if_hosts(error)


def why_no_uploader() -> str | None:
    """Why a program like this process cannot start the uploader, as a clause; None if it can."""
    from deepchecks_telemetry.uploader.child.interpreter import why_no_interpreter
    from deepchecks_telemetry.uploader.child.reaper import why_not_reaped

    return why_no_interpreter() or why_not_reaped()


def _claim(home: Home, attached: str | None, now: float) -> "Plan | None":
    """What to do now. Of several processes that check at the same moment, only one gets a plan."""
    if not os.path.exists(home.spool) or find_setting(home, attached) is None or decide(home).mode != ON:
        return None
    row = access(lambda execute: execute(SELECT_DUE, ()).fetchone())
    if row is None:
        return None
    due, installation = row
    if installation is None or (due is not None and is_sane(due, now) and now < due):
        return None
    planned = _plan(home, attached, now)
    if planned is None or (planned.sends_now and why_no_uploader()):
        return None  # not claimed, so that the next process can start it
    attached_url = _attached_url(planned)
    if not _needs_action(planned):
        if attached_url is not None:
            access(lambda execute: execute(STORE_ENDPOINT, (attached_url, attached_url)))
        return None
    next_check = _next_check(planned, now, installation)
    claimed = access(lambda execute: execute(CLAIM, (next_check, attached_url, due)).rowcount == 1)
    return planned._replace(next_upload=next_check) if claimed else None


def _plan(home: Home, attached: str | None, now: float) -> "Plan | None":
    """The decision for this process; None if no endpoint is set, or the spool cannot be read."""
    from deepchecks_telemetry.spool.batches.queue import read_queue
    from deepchecks_telemetry.uploader.plan.decision import Command, plan
    from deepchecks_telemetry.uploader.plan.facts import assemble

    queue = access(lambda execute: read_queue(execute, now))
    if queue is None:
        return None
    planned = plan(assemble(home, queue, attached or queue.attached_endpoint), Command.HOST, now)
    return planned if planned.endpoint is not None else None


def _needs_action(planned: "Plan") -> bool:
    """Whether counts are sent automatically, or the notice has to be shown and a person can read it."""
    from deepchecks_telemetry.uploader.notice import is_read_by_a_person
    from deepchecks_telemetry.uploader.plan.decision import BlockedBy

    return planned.sends_automatically or (planned.blocked_by is BlockedBy.NOTICE and is_read_by_a_person(sys.stderr))


def _next_check(planned: "Plan", now: float, installation: str) -> int:
    """When the next check is due (Unix seconds): tomorrow at the earliest if this one sends nothing."""
    from deepchecks_telemetry.uploader.plan.decision import BlockedBy

    if planned.sends_now:
        return int(now) + CLAIM_S
    first = planned.blocked_by in (BlockedBy.NOTICE, BlockedBy.NOT_DUE)
    return first_due(now, installation) if first else next_due(now, installation)


def _attached_url(planned: "Plan") -> str | None:
    """The endpoint, if deepchecks itself set it; it was validated, so it contains no password."""
    return planned.endpoint.url if planned.endpoint is not None and planned.endpoint.source == ATTACHED else None


def _execute(home: Home, planned: "Plan") -> None:
    """Start the uploader process, or show the notice; no lock of the spool is held meanwhile."""
    from deepchecks_telemetry.uploader.plan.decision import BlockedBy

    if planned.sends_now:
        from deepchecks_telemetry.uploader.child import start

        start.start(home.state, _attached_url(planned))
    elif planned.blocked_by is BlockedBy.NOTICE and planned.endpoint is not None and planned.next_upload is not None:
        from deepchecks_telemetry.uploader.notice import show_notice

        show_notice(home, planned.endpoint, planned.next_upload, sys.stderr)
