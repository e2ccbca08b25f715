"""The detached child: flushes once, silently, at the lowest priority, and is gone within a minute."""

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
from deepchecks_telemetry.uploader.plan.decision import Command
from deepchecks_telemetry.uploader.plan.facts import plan_upload
from deepchecks_telemetry.uploader.wire.http import post

LIFE_S = 60.0  # whatever a server does
# A batch job ends with its last process, so each waits as long for a receiver that is mute. Collectors answer within
# 0.1 s, a function that must be started first within 3 s; `flush`, which a person watches, has 20 s.
ANSWER_S = 6.0


def main(attached: str | None = None, *, life_s: float = LIFE_S) -> None:
    """Send what is due to the endpoint in force, or to `attached` where no other is set."""
    watchdog = threading.Timer(life_s, os._exit, (1,))
    watchdog.daemon = True
    watchdog.start()
    if hasattr(os, "nice"):
        os.nice(19)
    home = find_home()
    with suppress(SpoolError, UploadError, FileNotFoundError):
        planned = plan_upload(home, Command.CHILD, time.time(), attached=attached)
        if planned.may_send and planned.endpoint is not None:
            for _ in flush(home, planned.endpoint, post=partial(post, deadline_s=ANSWER_S)):
                pass


if __name__ == "__main__":
    main(*sys.argv[1:2])
