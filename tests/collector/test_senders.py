"""The official OpenTelemetry exporter for Python and our uploader both deliver, without mocks."""

import json
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from tests.collector.messages import RESOURCE

from deepchecks_telemetry.collector import reading, report, running
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.stats import read_unsent
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.flush import flush


@pytest.fixture
def running_collector(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    store = tmp_path / "store.db"
    with running(store) as url:
        yield url, store


@pytest.mark.real
@pytest.mark.parametrize("compression", ["NoCompression", "Gzip"])
def test_the_official_exporter_delivers(running_collector: tuple[str, Path], compression: str) -> None:
    http = pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    exporter_module = pytest.importorskip("opentelemetry.exporter.otlp.proto.http._log_exporter")
    logs = pytest.importorskip("opentelemetry.sdk._logs")
    export = pytest.importorskip("opentelemetry.sdk._logs.export")
    resources = pytest.importorskip("opentelemetry.sdk.resources")
    api = pytest.importorskip("opentelemetry._logs")

    url, store = running_collector
    coding = getattr(http.Compression, compression)
    exporter = exporter_module.OTLPLogExporter(f"{url}/v1/logs", timeout=20, compression=coding)
    provider = logs.LoggerProvider(resource=resources.Resource(RESOURCE), shutdown_on_exit=False)
    provider.add_log_record_processor(export.BatchLogRecordProcessor(exporter))
    logger = provider.get_logger("deepchecks_telemetry")
    day = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    for count in range(1, 101):
        values = {"log.record.uid": str(uuid.uuid4()), "deepchecks.event.count": count}
        name, moment = "deepchecks.run-check", int(day.timestamp()) * 10**9
        logger.emit(api.LogRecord(timestamp=moment, event_name=name, attributes=values))
    assert provider.force_flush()
    provider.shutdown()
    counts = report(store)
    assert (counts.total.events, counts.rows) == (5050, 100)
    with reading(store) as connection:
        days = connection.execute("SELECT day FROM daily_active").fetchall()
    assert days == [(day.date().isoformat(),)]


@pytest.fixture
def spool(home: Path) -> Home:
    return find_home()


def test_our_uploader_delivers_what_is_pending(spool: Home, running_collector: tuple[str, Path]) -> None:
    url, store = running_collector
    recorded = Counter({"run-check": 7, "run-suite": 2, "package-import": 1})
    for name, times in recorded.items():
        for _ in range(times):
            assert record(name)
    kinds = [sent.outcome.kind for sent in flush(spool, Endpoint(f"{url}/v1/logs", "a test"))]
    assert kinds == ["delivered"]
    assert not read_unsent(spool)
    counts = json.loads(json.dumps(report(store).as_dict()))
    events = {name: cell["events"] for name, cell in counts["fields"]["event"].items()}
    assert (events, counts["installations"]) == (recorded, 1)
    assert list(counts["fields"]["python"]) == [f"{sys.version_info[0]}.{sys.version_info[1]}"]
