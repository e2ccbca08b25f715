"""Mozilla's Glean: events in a file of the application's; a process of its own sends them, at the latest at the next start."""

from benchmarks.peers import Adapter


class Peer(Adapter):
    NAME = "Glean"
    DISTRIBUTION = "glean-sdk"

    def setup(self, url: str, folder: str, *, enabled: bool = True) -> None:
        from pathlib import Path

        from glean import Configuration, Glean
        from glean.metrics import CommonMetricData, EventMetricType, Lifetime

        common = CommonMetricData("benchmark", "event", ["events"], Lifetime.PING, disabled=False)
        self.metric = EventMetricType(common, ["name"])
        self.glean = Glean
        Glean.initialize(
            application_id="benchmark",
            application_version="1",
            upload_enabled=enabled,
            configuration=Configuration(server_endpoint=url),
            data_dir=Path(folder, "glean"),
        )

    def opt_out(self, url: str, folder: str) -> None:
        self.setup(url, folder, enabled=False)

    def record(self, event: str) -> None:
        self.metric.record(Extra(event))

    def finish(self) -> None:
        self.glean.shutdown()


class Extra:
    """What Glean's parser makes of a metrics.yaml."""

    def __init__(self, name: str) -> None:
        self.name = name

    def to_ffi_extra(self) -> dict[str, str]:
        return {"name": self.name}
