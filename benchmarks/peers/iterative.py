"""Iterative (DVC): a separate process for each event, which sends it."""

# ruff: noqa: ARG002
# mypy: disable-error-code="import-not-found,import-untyped"

from benchmarks.peers import Adapter


class Peer(Adapter):
    NAME = "iterative-telemetry"
    DISTRIBUTION = "iterative-telemetry"
    OPT_OUT = "ITERATIVE_DO_NOT_TRACK=true"

    def setup(self, url: str, folder: str) -> None:
        from iterative_telemetry import IterativeTelemetryLogger

        self.logger = IterativeTelemetryLogger("benchmark", "1", url=url)

    def record(self, event: str) -> None:
        self.logger.send_event("api", event)
