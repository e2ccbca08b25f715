"""`python -m deepchecks_telemetry.collector` serves one store and prints its base URL on stdout."""

import argparse
import os
import sys
from pathlib import Path

from deepchecks_telemetry.collector.errors import CollectorError
from deepchecks_telemetry.collector.reporting.text import escape_control_chars
from deepchecks_telemetry.collector.server.serve import HOST, PORT, TOKEN_VARIABLE, serve


def main() -> int:
    """Serve until it is stopped; exit code 1 if it could not start."""
    parser = argparse.ArgumentParser(prog="python -m deepchecks_telemetry.collector", description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="the SQLite file to store the rows in")
    parser.add_argument("--host", default=HOST, help="the address to listen on (%(default)s)")
    parser.add_argument(
        "--port", type=int, default=PORT, help="the port to listen on; 0 picks a free one (%(default)s)"
    )
    # By default from a variable, because every user of a machine can read the arguments of processes.
    parser.add_argument(
        "--token",
        default=os.environ.get(TOKEN_VARIABLE),
        help=f"the bearer token to require; default: ${TOKEN_VARIABLE}",
    )
    parser.add_argument("--lifeline", action="store_true", help="stop when standard input is closed")
    options = parser.parse_args()
    try:
        serve(
            options.store,
            host=options.host,
            port=options.port,
            token=options.token,
            announce=_print_url,
            lifeline=0 if options.lifeline else None,
        )
    except CollectorError as error:
        sys.stderr.write(f"Error: {escape_control_chars(error)}\n")
        return 1
    return 0


def _print_url(url: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
