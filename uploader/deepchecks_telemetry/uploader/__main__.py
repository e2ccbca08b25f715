"""The uploader process: flushes once, silently, at the lowest priority, and ends within a minute."""

import os
import sys
import threading
import time
from contextlib import suppress
from functools import partial

from deepchecks_telemetry.spool.errors import SpoolError
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.uploader.errors import UploadError
from deepchecks_telemetry.uploader.flush import flush
from deepchecks_telemetry.uploader.plan.decision import Command, plan
from deepchecks_telemetry.uploader.plan.facts import read_facts
from deepchecks_telemetry.uploader.wire.http import post

LIFE_S = 60.0  # whatever a server does
# A batch job ends with its last process, so it waits as long as this one waits for a receiver that does not respond.
# Collectors respond within 0.1 s, a function that has to be started first within 3 s. The command `flush`, which a
# person watches, waits 20 s.
RESPONSE_S = 6.0


def main(attached: str | None = None, *, life_s: float = LIFE_S) -> None:
    """Send what is pending to the endpoint in force, or to `attached` if no other is set."""
    watchdog = threading.Timer(life_s, os._exit, (1,))
    watchdog.daemon = True
    watchdog.start()
    if hasattr(os, "nice"):
        os.nice(19)
    home = find_home()
    with suppress(SpoolError, UploadError, FileNotFoundError):
        now = time.time()
        planned = plan(read_facts(home, now, attached=attached), Command.CHILD, now)
        if planned.sends_now and planned.endpoint is not None:
            for _ in flush(home, planned.endpoint, post=partial(post, deadline_s=RESPONSE_S)):
                pass


if __name__ == "__main__":
    main(*sys.argv[1:2])
