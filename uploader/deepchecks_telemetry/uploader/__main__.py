"""The detached child: flushes once, silently, at the lowest priority, and is gone within a minute."""

import os
import sys
import threading
from contextlib import suppress

from deepchecks_telemetry.spool.errors import SpoolError
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.uploader.background import LIFE_S
from deepchecks_telemetry.uploader.endpoint import find_endpoint
from deepchecks_telemetry.uploader.errors import UploadError
from deepchecks_telemetry.uploader.flush import flush
from deepchecks_telemetry.uploader.notice import was_told


def main(attached: str | None = None, *, life_s: float = LIFE_S) -> None:
    """Send what is due to the endpoint in force, or to `attached` where no other is set."""
    watchdog = threading.Timer(life_s, os._exit, (1,))
    watchdog.daemon = True
    watchdog.start()
    if hasattr(os, "nice"):
        os.nice(19)
    home = find_home()
    with suppress(SpoolError, UploadError, FileNotFoundError):
        endpoint = find_endpoint(home, attached)
        if endpoint is not None and was_told(home, endpoint):
            for _ in flush(home, endpoint):
                pass


if __name__ == "__main__":
    main(*sys.argv[1:2])
