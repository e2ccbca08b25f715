"""A prefork server: it records, forks workers that record, and records again.

python -m ... FORKS
"""

from tests.campaigns.hosts.program import Journal, descriptors, fork, run_host, wait


def main(journal: Journal, forks: str) -> None:
    """Keep three workers running at a time, as a server with `--max-requests` does."""
    journal.record()
    before = descriptors()
    for _ in range(int(forks) // 3):
        journal.record(2)
        for pid in [fork(journal, lambda: journal.record(5)) for _ in range(3)]:
            wait(journal, pid)
    journal.record()
    journal.count("leaked_descriptors", descriptors() - before)


if __name__ == "__main__":
    run_host(main)
