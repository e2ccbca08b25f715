"""A daemon by python-daemon: detached by two forks, or in place, and all of its descriptors closed.

    python -m ... detached|in-place|as-it-is

`as-it-is` leaves the choice to python-daemon, which detaches unless the parent of the process is PID 1.
"""

import daemon
from tests.campaigns.hosts.descriptors.files import File, compare, work
from tests.campaigns.hosts.program import Journal, run_host

DETACH = {"detached": True, "in-place": False, "as-it-is": None}


def main(journal: Journal, mode: str) -> None:
    """Record, become a daemon, work with files."""
    journal.record(3)
    journal.write()  # the process that ends at the first fork
    with daemon.DaemonContext(detach_process=DETACH[mode]):
        files = [File() for _ in range(8)]
        work(journal, files, 200)
        compare(journal, files)
        journal.write()


if __name__ == "__main__":
    run_host(main)
