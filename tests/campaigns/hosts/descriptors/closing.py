"""A host that closes descriptors which it did not open, and then works with files of its own.

    python -m ... MODE SEED

MODE: `all` closes 3 to 255, `limit` 3 to the limit of the process, `many` all, and opens 400 files afterwards,
`partial` one at random of those that are open, again and again.
"""

import os
import random
import resource

from tests.campaigns.hosts.descriptors.files import File, compare, work
from tests.campaigns.hosts.program import Journal, run_host


def main(journal: Journal, mode: str, seed: str) -> None:
    """Record, close, open files, record again, and compare."""
    journal.record(3)
    files: list[File] = []
    if mode == "partial":
        chance = random.Random(int(seed))
        for _ in range(10):
            close_one(files, chance)
            files.append(File())  # it gets the number that has become free
            work(journal, files, 20)
    else:
        os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0] if mode == "limit" else 256)
        files = [File() for _ in range(400 if mode == "many" else 8)]
        work(journal, files, 200)
    compare(journal, files)


def close_one(files: list[File], chance: random.Random) -> None:
    """Close a descriptor at random that is not of one of the host's files."""
    own = {0, 1, 2, *(file.descriptor for file in files)}
    others = [int(number) for number in os.listdir("/proc/self/fd") if int(number) not in own]
    if ours := [number for number in others if os.path.exists(f"/proc/self/fd/{number}")]:  # without the listing's own
        os.close(chance.choice(ours))


if __name__ == "__main__":
    run_host(main)
