"""OpenTelemetry: log records in a queue in memory and a thread that exports them; exit flushes."""

# ruff: noqa: ARG002
# mypy: disable-error-code="import-not-found,import-untyped"

from benchmarks.peers import Adapter


class Peer(Adapter):
    NAME = "OpenTelemetry"
    DISTRIBUTION = "opentelemetry-exporter-otlp-proto-http"
    OPT_OUT = "OTEL_SDK_DISABLED=true"

    def setup(self, url: str, folder: str) -> None:
        from opentelemetry._logs import LogRecord
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

        provider = LoggerProvider()
        provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(endpoint=f"{url}/v1/logs")))
        self.emit, self.make = provider.get_logger("benchmark").emit, LogRecord

    def record(self, event: str) -> None:
        self.emit(self.make(event_name=event))

    def answer(self, path: str, url: str) -> bytes:
        """An empty message, in protobuf."""
        return b""
