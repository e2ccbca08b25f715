"""PostHog: a queue in memory and a thread that sends it; exit waits for the thread."""

# ruff: noqa: ARG002
# mypy: disable-error-code="import-not-found,import-untyped"

from benchmarks.peers import Adapter


class Peer(Adapter):
    NAME = "PostHog"
    DISTRIBUTION = "posthog"

    def setup(self, url: str, folder: str, *, disabled: bool = False) -> None:
        from posthog import Posthog

        self.client = Posthog("phc_benchmark", host=url, disabled=disabled)

    def opt_out(self, url: str, folder: str) -> None:
        self.setup(url, folder, disabled=True)

    def drain(self) -> None:
        self.client.shutdown()

    def record(self, event: str) -> None:
        self.client.capture(event, distinct_id="installation")
