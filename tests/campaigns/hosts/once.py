"""A host that records and ends.

python -m ... TIMES
"""

from tests.campaigns.hosts.program import Journal, run_host


def main(journal: Journal, times: str) -> None:
    """Record so many events."""
    journal.record(int(times))


if __name__ == "__main__":
    run_host(main)
