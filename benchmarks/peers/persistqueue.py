"""persist-queue: a queue in an SQLite file; it only stores."""

# ruff: noqa: ARG002
# mypy: disable-error-code="import-not-found,import-untyped"

from benchmarks.peers import Adapter


class Peer(Adapter):
    NAME = "persist-queue"
    DISTRIBUTION = "persist-queue"
    SENDS = False

    def setup(self, url: str, folder: str) -> None:
        from persistqueue import SQLiteQueue

        self.queue = SQLiteQueue(f"{folder}/queue", auto_commit=True)

    def record(self, event: str) -> None:
        self.queue.put(event)

    def stored(self, folder: str) -> int:
        self.setup("", folder)
        return int(self.queue.size)
