"""A host that records in a tight loop beside a reader that never ends, and measures how large the WAL becomes.

python -m ... SECONDS
"""

import os

from tests.campaigns.hosts.program import Clock, Journal, run_host

WAL = os.path.join(os.environ["DEEPCHECKS_TELEMETRY_DIR"], "state", "spool.db-wal")


def main(journal: Journal, seconds: str) -> None:
    """Record until the time is over."""
    deadline = Clock.now() + float(seconds)
    while Clock.now() < deadline:
        journal.record(50)
        journal.facts["wal_mb"] = max(journal.facts.get("wal_mb", 0.0), os.stat(WAL).st_size / 1e6)


if __name__ == "__main__":
    run_host(main)
