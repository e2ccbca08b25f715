"""Sending on a later import: the host looks whether an upload is due, and if so starts the uploader's process.

In the host: no socket, no thread, no zombie, nothing on its streams, short transactions; never an exception.
"""

import os
import time

from deepchecks_telemetry.spool.consent.decision import ON, decide
from deepchecks_telemetry.spool.errors import raise_if_hosts
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.recording.record import access
from deepchecks_telemetry.uploader.endpoint import ATTACHED, Endpoint, find_endpoint, find_named
from deepchecks_telemetry.uploader.schedule import CLAIM_S, first_due, is_sane

LOOK = "SELECT next_upload, installation FROM spool"
CLAIM = "UPDATE spool SET next_upload = ?, endpoint = coalesce(?, endpoint) WHERE next_upload IS ? AND epoch % 2 = 0"


def upload_if_due(endpoint: str | None = None) -> None:
    """Start the uploader if it is due; `endpoint` is what deepchecks itself was attached with. Never raises."""
    try:
        home = find_home()
        if due := _claim(home, endpoint, time.time()):
            _start(home.state, due.url if due.source == ATTACHED else None)
    except Exception as error:  # noqa: BLE001 - the host program must never see an error of ours, known or unknown
        raise_if_hosts(error)


def why_no_uploader() -> str | None:
    """Why a program like this process cannot start the uploader, as a clause; None where it can."""
    from deepchecks_telemetry.uploader.child.interpreter import why_no_interpreter
    from deepchecks_telemetry.uploader.child.reaper import why_not_reaped

    return why_no_interpreter() or why_not_reaped()


def _claim(home: Home, attached: str | None, now: float) -> Endpoint | None:
    """Where to send, for the one process, of all that look at the same moment, that starts the uploader."""
    if decide(home).mode != ON or not os.path.exists(home.spool) or find_named(home, attached) is None:
        return None
    row = access(lambda execute: execute(LOOK, ()).fetchone())
    if row is None:
        return None
    due, installation = row
    fresh = due is None or not is_sane(due, now)
    if installation is None or not (fresh or due <= now):
        return None
    if not fresh and why_no_uploader():
        return None  # unclaimed, so that the next process can start it
    from deepchecks_telemetry.uploader.notice import was_told

    endpoint = find_endpoint(home, attached)  # its text is looked at once a day
    if endpoint is None or not was_told(home, endpoint):
        return None
    after = first_due(now, installation) if fresh else int(now) + CLAIM_S
    named = endpoint.url if endpoint.source == ATTACHED else None  # checked, so it holds no password
    claimed = access(lambda execute: execute(CLAIM, (after, named, due)).rowcount == 1)
    return endpoint if claimed and not fresh else None


def _start(folder: str, endpoint: str | None) -> None:
    from deepchecks_telemetry.uploader.child.start import start

    start(folder, endpoint)
