"""collector/fleet/otelcol.yaml in the real Collector: it is valid, it runs, and its rows fit schema.sql."""

import json
import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from deepchecks_telemetry.spool import record as record_event
from deepchecks_telemetry.spool.catalogue import EVENTS
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.flush import flush
from deepchecks_telemetry.uploader.wire.outcome import DELIVERED

if TYPE_CHECKING:
    from tests.collector.otelcol.conftest import Otelcol

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]
FLEET = Path(__file__).parents[3] / "collector" / "fleet"
Start = Callable[..., "Otelcol"]
Query = Callable[[str], list[list[Any]]]


def column_types(table: str) -> dict[str, str]:
    """The columns of a CREATE TABLE statement and their types."""
    extras = "COMMENT|CODEC|DEFAULT|MATERIALIZED"
    return dict(re.findall(rf"^ +`?([\w.]+)`? (.+?)(?: (?:{extras})\b.*)?,?$", table, re.MULTILINE))


@pytest.fixture
def exporter() -> Path:
    """The source of the ClickHouse exporter that is in the Collector."""
    folder = os.environ.get("CLICKHOUSE_EXPORTER")
    if not folder:
        pytest.skip("needs a Collector: `nox -s otelcol` builds one")
    return Path(folder) / "internal" / "sqltemplates"


@pytest.fixture
def inserted(exporter: Path) -> list[str]:
    """The columns that the exporter inserts if it finds no EventName in the table."""
    return re.findall(r"^    (\w+),?$", (exporter / "logs_insert.sql").read_text("utf-8"), re.MULTILINE)


@pytest.fixture
def query(tmp_path: Path) -> Iterator[Query]:
    """Runs SQL in an engine with the fleet's tables, and returns the rows."""
    session = pytest.importorskip("chdb.session").Session(str(tmp_path / "clickhouse"))
    for statement in (FLEET / "schema.sql").read_text("utf-8").split(";\n"):
        if statement.strip():
            session.query(statement)
    yield lambda sql: [json.loads(line) for line in str(session.query(sql, "JSONCompactEachRow")).splitlines()]
    session.close()


@pytest.mark.parametrize(("change", "code"), [("", 0), ("yaml:exporters::clickhouse::no_such_setting: 1", 1)])
def test_the_collector_finds_the_configuration_valid(otelcol: str, change: str, code: int) -> None:
    files = [f"--config={FLEET / 'otelcol.yaml'}", *([f"--config={change}"] if change else [])]
    environment = {**os.environ, "CLICKHOUSE_ENDPOINT": "clickhouse://host:9000", "CLICKHOUSE_USER": "writer"}
    ended = subprocess.run([otelcol, "validate", *files], env=environment, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, "no_such_setting" in ended.stderr) == (code, bool(code)), ended.stderr


def test_it_runs_without_clickhouse_and_keeps_what_it_accepts_on_the_disk(start: Start) -> None:
    collector = start()
    assert record_event("run-check")
    (attempt,) = flush(find_home(), Endpoint(f"{collector.url}/v1/logs", "a test"))
    assert attempt.outcome.kind == DELIVERED
    assert requests.get(f"http://127.0.0.1:{collector.health}", timeout=20).status_code == 200
    uid = json.loads(attempt.batch.body)["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["attributes"][0]["value"]
    collector.kill()
    queue = b"".join(file.read_bytes() for file in collector.log.with_name("queue").iterdir())
    assert uid["stringValue"].encode() in queue


def test_the_exporter_inserts_the_columns_of_the_schema(exporter: Path, inserted: list[str]) -> None:
    schema = (FLEET / "schema.sql").read_text("utf-8")
    ours = column_types(schema[: schema.index("ENGINE = Null")].partition("otel_logs (")[2])
    theirs = column_types((exporter / "logs_table.sql").read_text("utf-8"))
    assert len(inserted) == 15
    assert {name: ours[name] for name in [*inserted, "EventName"]} == {
        name: theirs[name] for name in [*inserted, "EventName"]
    }
    assert set(ours) - {*inserted, "EventName"} == {"TimestampTime"}  # has a default


def read_lines(path: Path, number: int) -> list[dict[str, Any]]:
    """What the file exporter wrote, when it has written as many records."""
    deadline = time.monotonic() + 30
    while True:
        lines = path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []
        groups = [group for line in lines if line.endswith("\n") for group in json.loads(line)["resourceLogs"]]
        if sum(len(scope["logRecords"]) for group in groups for scope in group["scopeLogs"]) >= number:
            return groups
        assert time.monotonic() < deadline, lines
        time.sleep(0.05)


def strings(attributes: list[dict[str, Any]]) -> dict[str, str]:
    return {pair["key"]: str(next(iter(pair["value"].values()))) for pair in attributes}


def rows_of(groups: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The values that the exporter inserts for each record (exporter_logs.go, pushLogsData)."""
    for group in groups:
        resource = strings(group["resource"]["attributes"])
        for scope in group["scopeLogs"]:
            for entry in scope["logRecords"]:
                yield {
                    "Timestamp": int(entry["timeUnixNano"]) / 1e9,
                    "TraceId": entry.get("traceId", ""),
                    "SpanId": entry.get("spanId", ""),
                    "TraceFlags": entry.get("flags", 0),
                    "SeverityText": entry.get("severityText", ""),
                    "SeverityNumber": entry.get("severityNumber", 0),
                    "ServiceName": resource["service.name"],
                    "Body": "",
                    "ResourceSchemaUrl": group.get("schemaUrl", ""),
                    "ResourceAttributes": resource,
                    "ScopeSchemaUrl": scope.get("schemaUrl", ""),
                    "ScopeName": scope["scope"].get("name", ""),
                    "ScopeVersion": scope["scope"].get("version", ""),
                    "ScopeAttributes": strings(scope["scope"].get("attributes", [])),
                    "LogAttributes": strings(entry["attributes"]),
                    "EventName": entry["eventName"],
                }


@pytest.mark.parametrize("clickhouse_was_down", [False, True])
def test_what_the_collector_passes_on_is_counted_by_the_schema(
    start: Start,
    query: Query,
    inserted: list[str],
    tmp_path: Path,
    request_of: Callable[..., Any],
    record: Callable[..., Any],
    clickhouse_was_down: bool,
) -> None:
    """Also if ClickHouse was down when the Collector started: the exporter then inserts no EventName."""
    written = tmp_path / "written.jsonl"
    exporters = {"file": {"path": str(written), "flush_interval": "50ms"}}
    collector = start(exporters=exporters, service={"pipelines": {"logs": {"exporters": ["file"]}}})
    foreign = request_of(record(), service_name="another")
    assert requests.post(f"{collector.url}/v1/logs", json=foreign, timeout=20).status_code == 200
    recorded = Counter({event.name: number for number, event in enumerate(EVENTS, 1)})
    assert all(record_event(name) for name in recorded.elements())
    list(flush(find_home(), Endpoint(f"{collector.url}/v1/logs", "a test")))

    rows = list(rows_of(read_lines(written, len(EVENTS))))
    columns = inserted if clickhouse_was_down else [*inserted, "EventName"]
    values = "\n".join(json.dumps({name: row[name] for name in columns}) for row in rows)
    query(f"INSERT INTO deepchecks.otel_logs ({', '.join(columns)}) FORMAT JSONEachRow {values}")
    assert {row["ServiceName"] for row in rows} == {"deepchecks"}
    assert (
        Counter(dict(query("SELECT event, toUInt32(sum(count)) FROM deepchecks.rows FINAL GROUP BY event"))) == recorded
    )
    assert query("SELECT * FROM deepchecks.refused") == []
