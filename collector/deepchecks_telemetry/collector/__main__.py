"""`python -m deepchecks_telemetry.collector` serves one store and says its base URL on stdout."""

import argparse
import sys
from pathlib import Path

from deepchecks_telemetry.collector.errors import CollectorError
from deepchecks_telemetry.collector.serve import HOST, PORT, serve


def main() -> int:
    """Serve until it is told to stop; 1 if it could not start."""
    parser = argparse.ArgumentParser(prog="python -m deepchecks_telemetry.collector", description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="the SQLite file that keeps the rows")
    parser.add_argument("--host", default=HOST, help="the address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=PORT, help="the port; 0 is any that is free (%(default)s)")
    parser.add_argument("--lifeline", action="store_true", help="stop when standard input ends, as with its parent")
    asked = parser.parse_args()
    try:
        serve(asked.store, host=asked.host, port=asked.port, announce=_say, lifeline=0 if asked.lifeline else None)
    except CollectorError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    return 0


def _say(url: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
