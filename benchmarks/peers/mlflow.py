"""MLflow: it loads settings from a server; a queue in memory and a thread that sends it every ten seconds."""

# ruff: noqa: ARG002
# mypy: disable-error-code="import-not-found,import-untyped"

from benchmarks.peers import Adapter


class Peer(Adapter):
    NAME = "MLflow"
    DISTRIBUTION = "mlflow-skinny"
    OPT_OUT = "MLFLOW_DISABLE_TELEMETRY=true"

    def setup(self, url: str, folder: str) -> None:
        import mlflow.telemetry.utils

        mlflow.telemetry.utils.CONFIG_URL = url  # there is no setting for it
        from mlflow.telemetry import get_telemetry_client
        from mlflow.telemetry.schemas import Record, Status

        self.client, self.make, self.status = get_telemetry_client(), Record, Status.SUCCESS

    def record(self, event: str) -> None:
        if self.client is not None:
            self.client.add_record(self.make(event_name=event, timestamp_ns=0, status=self.status, duration_ms=0))

    def answer(self, path: str, url: str) -> bytes:
        """The settings, if it requests a path like /3.17.2.json."""
        if not path.endswith(".json"):
            return b"{}"
        version = path.removeprefix("/").removesuffix(".json")
        return f'{{"mlflow_version": "{version}", "ingestion_url": "{url}", "rollout_percentage": 100}}'.encode()
