"""sqlite-utils alone: a row in an SQLite file; it only stores."""

# ruff: noqa: ARG002
# mypy: disable-error-code="import-not-found,import-untyped"

from benchmarks.peers import Adapter


class Peer(Adapter):
    NAME = "sqlite-utils"
    DISTRIBUTION = "sqlite-utils"
    SENDS = False

    def setup(self, url: str, folder: str) -> None:
        from sqlite_utils import Database

        self.table = Database(f"{folder}/events.db").table("events")

    def record(self, event: str) -> None:
        self.table.insert({"event": event})

    def stored(self, folder: str) -> int:
        self.setup("", folder)
        return int(self.table.count)
