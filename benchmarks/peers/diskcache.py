"""diskcache: a queue in an SQLite file that processes share; it only stores."""

# ruff: noqa: ARG002
# mypy: disable-error-code="import-not-found,import-untyped"

from benchmarks.peers import Adapter


class Peer(Adapter):
    NAME = "diskcache"
    DISTRIBUTION = "diskcache"
    SENDS = False

    def setup(self, url: str, folder: str) -> None:
        from diskcache import Cache

        self.cache = Cache(f"{folder}/cache")

    def record(self, event: str) -> None:
        self.cache.push(event)

    def stored(self, folder: str) -> int:
        self.setup("", folder)
        return len(self.cache)
