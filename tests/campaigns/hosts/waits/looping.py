"""A host that records in a tight loop beside a reader that never ends, and looks how large the WAL becomes.

python -m ... SECONDS
"""

import os

from tests.campaigns.hosts.program import Book, Clock, play

WAL = os.path.join(os.environ["DEEPCHECKS_TELEMETRY_DIR"], "state", "spool.db-wal")


def main(book: Book, seconds: str) -> None:
    """Record until the time is over."""
    deadline = Clock.now() + float(seconds)
    while Clock.now() < deadline:
        book.record(50)
        book.facts["wal_mb"] = max(book.facts.get("wal_mb", 0.0), os.stat(WAL).st_size / 1e6)


if __name__ == "__main__":
    play(main)
