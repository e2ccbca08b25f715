"""Sentry: a queue in memory and a thread that sends it; exit waits two seconds for the thread."""

# ruff: noqa: ARG002
# mypy: disable-error-code="import-not-found,import-untyped"

from benchmarks.peers import Adapter


class Peer(Adapter):
    NAME = "Sentry"
    DISTRIBUTION = "sentry-sdk"

    def setup(self, url: str, folder: str) -> None:
        self._connect(url.replace("http://", "http://key@") + "/1")

    def opt_out(self, url: str, folder: str) -> None:
        self._connect("")

    def _connect(self, dsn: str) -> None:
        import sentry_sdk

        sentry_sdk.init(dsn=dsn)
        self.capture = sentry_sdk.capture_message

    def record(self, event: str) -> None:
        self.capture(event)
