"""Sending on a later import: the host looks whether it is due, and if so starts a child that is nobody's business.

In the host: no socket, no thread, no zombie, nothing on its streams, one short transaction; never an exception.
"""

import os
import sys
import time

from deepchecks_telemetry.spool.batches.queue import Execute
from deepchecks_telemetry.spool.consent.decision import ON, decide
from deepchecks_telemetry.spool.db.schema import connect
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.uploader.endpoint import ATTACHED, Endpoint, find_named
from deepchecks_telemetry.uploader.schedule import CLAIM_S, first_due, is_sane, next_due

LIFE_S = 60.0  # of the child, whatever a server does
WAIT_S = 0.1  # for the spool's lock, in the host; whoever imports deepchecks next looks again
LOOK = "SELECT next_upload, installation FROM spool"
CLAIM = "UPDATE spool SET next_upload = ?, endpoint = coalesce(?, endpoint) WHERE next_upload IS ? AND epoch % 2 = 0"
NOTE = "UPDATE spool SET endpoint = ? WHERE endpoint IS NOT ? AND epoch % 2 = 0"


def upload_if_due(endpoint: str | None = None) -> None:
    """Start the uploader if it is due; `endpoint` is what deepchecks itself was attached with. Never raises."""
    try:
        home = find_home()
        if due := _claim(home, endpoint, time.time()):
            _start(due.url if due.source == ATTACHED else None)
    except Exception:  # noqa: BLE001, S110 - the host program must never see an error of ours, known or unknown
        pass


def _claim(home: Home, attached: str | None, now: float) -> Endpoint | None:
    """Where to send, for the one process, of all that look at the same moment, that starts the uploader."""
    if decide(home).mode != ON or not os.path.exists(home.spool) or find_named(home, attached) is None:
        return None
    connection = connect(home, timeout_s=WAIT_S)
    try:
        return claim(connection.execute, home, attached, now)
    finally:
        connection.close()


def claim(execute: Execute, home: Home, attached: str | None, now: float) -> Endpoint | None:
    """The endpoint, where `plan` lets this process start the uploader and no other process was faster; else None.

    `execute` runs a statement on the open spool. What follows from the decision is noted there: the first moment, the
    endpoint that deepchecks itself sets, and that its notice was shown.
    """
    due, installation = execute(LOOK).fetchone()
    if installation is None or (due is not None and is_sane(due, now) and now < due):
        return None
    from deepchecks_telemetry.uploader.plan.decision import BlockedBy, Command, plan
    from deepchecks_telemetry.uploader.plan.facts import read_facts_with

    planned = plan(read_facts_with(execute, home, now, attached=attached), Command.HOST, now)
    if planned.endpoint is None:
        return None
    own = planned.endpoint.url if planned.endpoint.source == ATTACHED else None  # checked, so it holds no password
    if planned.blocked_by is BlockedBy.NOTICE:
        _announce(execute, home, planned.endpoint, due, first_due(now, installation))
    elif planned.may_send:
        return planned.endpoint if execute(CLAIM, (int(now) + CLAIM_S, own, due)).rowcount == 1 else None
    elif planned.sends:  # nothing can be sent before tomorrow, or this is the first import
        later = first_due if planned.blocked_by is BlockedBy.NOT_DUE else next_due
        execute(CLAIM, (later(now, installation), own, due))
    return None


def _announce(execute: Execute, home: Home, endpoint: Endpoint, due: int | None, first: int) -> None:
    """Show the notice where a person reads it, and plan the first upload for `first`; else only note the endpoint."""
    from deepchecks_telemetry.uploader.notice import is_read_by_a_person, show_notice

    if not is_read_by_a_person(sys.stderr):
        execute(NOTE, (endpoint.url, endpoint.url))
    elif execute(CLAIM, (first, endpoint.url, due)).rowcount == 1:
        show_notice(home, endpoint, first, sys.stderr)


def _start(endpoint: str | None) -> None:
    """Start a child of its own session, that no one waits for and that inherits nothing."""
    import subprocess  # 5 ms in a bare interpreter, and needed once a day

    null = subprocess.DEVNULL
    if not os.path.basename(sys.executable or "").lower().startswith(("python", "pypy")):
        return  # an embedding program: its executable would not run our module
    command = [sys.executable, "-m", "deepchecks_telemetry.uploader", *([endpoint] if endpoint else [])]
    # Its folder is the root, so that `-m` finds no module that happens to lie where the user works.
    folder = os.path.abspath(os.sep)
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.IDLE_PRIORITY_CLASS
        child = subprocess.Popen(command, cwd=folder, creationflags=flags, stdin=null, stdout=null, stderr=null)
        child.returncode = 0  # nobody waits for it: without this its collection would warn in the host
    else:
        # The shell forks and is gone within 2 ms, so the child belongs to init: no zombie, no ResourceWarning.
        # `nice` from the first instruction on: Python's own start would compete with the host's last moments.
        shell = ["/bin/sh", "-c", 'command -v nice >/dev/null && set -- nice -n 19 "$@"; "$@" &', "sh", *command]
        subprocess.run(
            shell, cwd=folder, start_new_session=True, timeout=5, check=False, stdin=null, stdout=null, stderr=null
        )
