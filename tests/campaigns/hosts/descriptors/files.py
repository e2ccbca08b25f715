"""Files of a host's own, whose every byte it knows."""

import os
import random

from tests.campaigns.hosts.program import Journal


class File:
    """A file that stays open, and what its host wrote to it."""

    def __init__(self) -> None:
        self.path = os.path.join(os.environ["HOST_FOLDER"], f"file-{os.getpid()}-{os.urandom(8).hex()}")
        self.descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600)
        self.content = b""
        self.append()

    def append(self) -> None:
        """Write 8 KiB more: eight pages of the spool."""
        block = random.Random(len(self.content)).randbytes(8192)
        os.pwrite(self.descriptor, block, len(self.content))
        self.content += block

    def foreign_bytes(self) -> int:
        """How many bytes in it are not those that its host wrote, and how many are missing."""
        with open(self.path, "rb") as file:
            found = file.read()
        differ = sum(one != other for one, other in zip(found, self.content, strict=False))
        return differ + abs(len(found) - len(self.content))


def work(journal: Journal, files: list[File], times: int) -> None:
    """Record and write to files in turn."""
    for number in range(times):
        journal.record()
        files[number % len(files)].append()


def compare(journal: Journal, files: list[File]) -> None:
    """Compare every file byte by byte, and remove it."""
    journal.count("files", len(files))
    for file in files:
        journal.count("foreign_bytes", file.foreign_bytes())
        os.remove(file.path)
