"""Snowplow: ten events in memory, then a request in the caller's thread; at the end the program flushes."""

# ruff: noqa: ARG002
# mypy: disable-error-code="import-not-found,import-untyped"

from benchmarks.peers import Adapter


class Peer(Adapter):
    NAME = "Snowplow"
    DISTRIBUTION = "snowplow-tracker"

    def setup(self, url: str, folder: str) -> None:
        from snowplow_tracker import Snowplow, StructuredEvent

        self.tracker, self.make = Snowplow.create_tracker(namespace="benchmark", endpoint=url), StructuredEvent

    def record(self, event: str) -> None:
        self.tracker.track(self.make(category="benchmark", action=event))

    def finish(self) -> None:
        self.tracker.flush()
