"""Segment: a queue in memory and a thread that sends it; exit waits for the thread."""

# ruff: noqa: ARG002
# mypy: disable-error-code="import-not-found,import-untyped"

from benchmarks.peers import Adapter


class Peer(Adapter):
    NAME = "Segment"
    DISTRIBUTION = "segment-analytics-python"

    def setup(self, url: str, folder: str, *, send: bool = True) -> None:
        import segment.analytics as analytics

        self.analytics = analytics
        analytics.write_key, analytics.host, analytics.send = "benchmark", url, send

    def opt_out(self, url: str, folder: str) -> None:
        self.setup(url, folder, send=False)

    def drain(self) -> None:
        self.analytics.shutdown()

    def record(self, event: str) -> None:
        self.analytics.track("installation", event)
