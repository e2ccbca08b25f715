"""huggingface_hub: a queue in memory and a thread that sends it and ends with the process."""

# ruff: noqa: ARG002
# mypy: disable-error-code="import-not-found,import-untyped"

from benchmarks.peers import Adapter


class Peer(Adapter):
    NAME = "huggingface_hub"
    DISTRIBUTION = "huggingface_hub"
    OPT_OUT = "HF_HUB_DISABLE_TELEMETRY=1"

    def environ(self, url: str, folder: str) -> dict[str, str]:
        return {"HF_ENDPOINT": url}

    def setup(self, url: str, folder: str) -> None:
        from huggingface_hub.utils import send_telemetry

        self.send = send_telemetry

    def record(self, event: str) -> None:
        self.send(event, library_name="benchmark", library_version="1")
