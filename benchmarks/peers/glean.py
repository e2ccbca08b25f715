"""Mozilla's Glean: events in a file of the application; a separate process sends them, now or at the next start."""

# mypy: disable-error-code="import-not-found,import-untyped"

from benchmarks.peers import Adapter


class Peer(Adapter):
    NAME = "Glean"
    DISTRIBUTION = "glean-sdk"

    def setup(self, url: str, folder: str, *, enabled: bool = True) -> None:
        from pathlib import Path

        from glean import Configuration, Glean
        from glean.metrics import CommonMetricData, EventMetricType, Lifetime
        from glean.metrics.event import EventExtras

        class Extra(EventExtras):  # type: ignore[misc,unused-ignore]
            """The class that Glean's parser would generate from a metrics.yaml."""

            def __init__(self, name: str) -> None:
                self.name = name

            def to_ffi_extra(self) -> dict[str, str]:
                return {"name": self.name}

        common = {"category": "benchmark", "name": "event", "send_in_pings": ["events"]}
        kept = CommonMetricData(**common, lifetime=Lifetime.PING, disabled=False)
        self.metric, self.glean, self.make = EventMetricType(kept, ["name"]), Glean, Extra
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
        self.metric.record(self.make(event))

    def finish(self) -> None:
        self.glean.shutdown()
