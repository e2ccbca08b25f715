"""One of two containers that share a home: it is PID 1, records, and changes the user's choice again and again.

python -m ... TIMES
"""

import os
import sys

from tests.campaigns.hosts.program import Journal, run_host


def main(journal: Journal, times: str) -> None:
    """Record, and run `deepchecks telemetry local` in this process, so that its pid is 1."""
    assert os.getpid() == 1
    from deepchecks_telemetry.cli import main as deepchecks

    journal.record(1)
    sys.argv[1:] = ["telemetry", "local"]
    for _ in range(int(times)):
        journal.count("commands")
        try:
            deepchecks()
        except SystemExit as end:
            journal.count("failed_commands", end.code not in (None, 0))
        journal.record(2)


if __name__ == "__main__":
    run_host(main)
