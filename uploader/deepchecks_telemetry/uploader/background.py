"""Sending on a later import: the host looks whether it is due, and if so starts a child that is nobody's business.

In the host: no socket, no thread, no zombie, nothing on its streams, one short transaction; never an exception.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable

from deepchecks_telemetry.spool.consent import ON, decide
from deepchecks_telemetry.spool.open import opened
from deepchecks_telemetry.spool.paths import Home, find_home
from deepchecks_telemetry.uploader.endpoint import find_endpoint
from deepchecks_telemetry.uploader.notice import was_told
from deepchecks_telemetry.uploader.schedule import CLAIM_S, first_due, is_sane

LIFE_S = 60.0  # of the child, whatever a server does
CLAIM = "UPDATE spool SET next_upload = ?, endpoint = coalesce(?, endpoint) WHERE next_upload IS ? AND epoch % 2 = 0"


def upload_if_due(endpoint: str | None = None) -> None:
    """Start the uploader if it is due; `endpoint` is what deepchecks itself was attached with. Never raises."""
    try:
        home = find_home()
        if _claim(home, endpoint, time.time()):
            _start(endpoint)
    except Exception:  # noqa: BLE001, S110 - the host program must never see an error of ours, known or unknown
        pass


def _claim(home: Home, attached: str | None, now: float, *, told: Callable[..., bool] = was_told) -> bool:
    """Whether this process, of all that look at the same moment, is the one that starts the uploader."""
    if decide(home).mode != ON or not os.path.exists(home.spool):
        return False
    endpoint = find_endpoint(home, attached)
    if endpoint is None or not told(home, endpoint):
        return False
    with opened(home) as connection:
        due, installation = connection.execute("SELECT next_upload, installation FROM spool").fetchone()
        if installation is None:
            return False
        fresh = due is None or not is_sane(due, now)
        if not fresh and due > now:
            return False
        after = first_due(now, installation) if fresh else int(now) + CLAIM_S
        return connection.execute(CLAIM, (after, attached, due)).rowcount == 1 and not fresh


def _start(endpoint: str | None) -> None:
    """Start a child of its own session, that no one waits for and that inherits nothing."""
    if not os.path.basename(sys.executable or "").lower().startswith(("python", "pypy")):
        return  # an embedding program: its executable would not run our module
    command = [sys.executable, "-m", "deepchecks_telemetry.uploader", *([endpoint] if endpoint else [])]
    # Its folder is the root, so that `-m` finds no module that happens to lie where the user works.
    folder = os.path.abspath(os.sep)
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if os.name == "nt":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP  # type: ignore[attr-defined]
        subprocess.Popen(command, cwd=folder, creationflags=flags, close_fds=True, **quiet)  # type: ignore[call-overload]
        return
    # The shell forks and is gone within 2 ms, so the child belongs to init: no zombie, no ResourceWarning in the host.
    shell = ["/bin/sh", "-c", '"$@" &', "sh", *command]
    subprocess.run(shell, cwd=folder, start_new_session=True, close_fds=True, timeout=5, check=False, **quiet)  # type: ignore[call-overload]
