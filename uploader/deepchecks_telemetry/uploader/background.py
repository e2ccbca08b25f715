"""Sending on a later import: the host looks whether it is due, and if so starts a child that is nobody's business.

In the host: no socket, no thread, no zombie, nothing on its streams, one short transaction; never an exception.
"""

import os
import sys
import time

from deepchecks_telemetry.spool.consent.decision import ON, decide
from deepchecks_telemetry.spool.db.connection import connect
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.uploader.endpoint import ATTACHED, Endpoint, find_endpoint, find_named
from deepchecks_telemetry.uploader.schedule import CLAIM_S, first_due, is_sane

LIFE_S = 60.0  # of the child, whatever a server does
WAIT_S = 0.1  # for the spool's lock, in the host; whoever imports deepchecks next looks again
CLAIM = "UPDATE spool SET next_upload = ?, endpoint = coalesce(?, endpoint) WHERE next_upload IS ? AND epoch % 2 = 0"


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
        due, installation = connection.execute("SELECT next_upload, installation FROM spool").fetchone()
        fresh = due is None or not is_sane(due, now)
        if installation is None or not (fresh or due <= now):
            return None
        from deepchecks_telemetry.uploader.notice import was_told

        endpoint = find_endpoint(home, attached)  # its text is looked at once a day
        if endpoint is None or not was_told(home, endpoint):
            return None
        after = first_due(now, installation) if fresh else int(now) + CLAIM_S
        named = endpoint.url if endpoint.source == ATTACHED else None  # checked, so it holds no password
        claimed = connection.execute(CLAIM, (after, named, due)).rowcount == 1
        return endpoint if claimed and not fresh else None
    finally:
        connection.close()


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
