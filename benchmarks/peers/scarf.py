"""Scarf: a request in the caller's thread for each event, with a timeout of three seconds."""

# ruff: noqa: ARG002
# mypy: disable-error-code="import-not-found,import-untyped"

from benchmarks.peers import Adapter


class Peer(Adapter):
    NAME = "Scarf"
    DISTRIBUTION = "scarf-sdk"
    OPT_OUT = "SCARF_NO_ANALYTICS=true"

    def setup(self, url: str, folder: str) -> None:
        from scarf import ScarfEventLogger

        self.logger = ScarfEventLogger(endpoint_url=url)

    def record(self, event: str) -> None:
        try:
            self.logger.log_event({"event": event})
        except Exception:  # noqa: BLE001 - it raises without a response, which a host would have to handle
            pass
