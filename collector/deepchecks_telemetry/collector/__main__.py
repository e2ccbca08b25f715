"""The child process of `running`: `python -m deepchecks_telemetry.collector STORE` serves on a free loopback port.

It prints its base URL, and stops when its standard input is closed. People use `deepchecks telemetry collector serve`.
"""

import sys
from functools import partial
from pathlib import Path

from deepchecks_telemetry.collector.errors import CollectorError
from deepchecks_telemetry.collector.reporting.text import escape_control_chars
from deepchecks_telemetry.collector.server.serve import serve


def main() -> int:
    """Serve until it is stopped; exit code 1 if it could not start."""
    try:
        serve(Path(sys.argv[1]), port=0, announce=partial(print, flush=True), lifeline=0)
    except CollectorError as error:
        sys.stderr.write(f"Error: {escape_control_chars(error)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
