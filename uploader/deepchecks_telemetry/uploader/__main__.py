"""The detached child: flushes once, silently, at the lowest priority, and is gone within a minute."""

import os
import sys
import threading
import time
from contextlib import suppress

from deepchecks_telemetry.spool.errors import SpoolError
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.uploader.background import LIFE_S
from deepchecks_telemetry.uploader.errors import UploadError
from deepchecks_telemetry.uploader.flush import flush
from deepchecks_telemetry.uploader.plan.decision import Command
from deepchecks_telemetry.uploader.plan.facts import plan_upload


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
            for _ in flush(home, planned.endpoint):
                pass


if __name__ == "__main__":
    main(*sys.argv[1:2])
