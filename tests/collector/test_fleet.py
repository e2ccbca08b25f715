"""The fleet's SQL in a real ClickHouse engine, on the output of a real Rotel: same numbers as the report and a count.

Needs chdb and rotel: `nox -s fleet`.
"""

import gzip
import json
import os
import random
import re
import socket
import subprocess
import threading
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from deepchecks_telemetry.collector import report
from deepchecks_telemetry.collector.codec import parse_protobuf
from deepchecks_telemetry.collector.otlp import Decoded, read
from deepchecks_telemetry.collector.store import Store
from deepchecks_telemetry.spool.catalogue import EVENTS, FIELDS, Environment

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]
FLEET = Path(__file__).parents[2] / "collector" / "fleet"
TODAY = datetime.now(timezone.utc).date()
ROWS, DUPLICATES, BATCH = 100_000, 20_000, 1_000
UNSPLIT = ("--batch-max-size", "1000000", "--batch-timeout", "20ms")  # as in fleet/rotel.env: no batch is split
Query = Callable[..., list[list[Any]]]


class Row(NamedTuple):
    """One row, independent of the code under test."""

    uid: str
    day: date
    event: str
    events: int
    installation: str
    environment: Environment


def statements(file: str) -> list[str]:
    """The statements of a file, each with the comment lines before it."""
    return [text for text in (FLEET / file).read_text("utf-8").split(";\n") if text.strip()]


def named_queries() -> dict[str, str]:
    queries = {}
    for text in statements("report.sql"):
        name = re.search(r"^-- name: (\w+)$", text, re.MULTILINE)
        assert name is not None
        queries[name[1]] = text
    return queries


@pytest.fixture
def query(tmp_path: Path) -> Iterator[Query]:
    """Runs SQL in an engine with the fleet's tables, and returns the rows."""
    session = pytest.importorskip("chdb.session").Session(str(tmp_path / "clickhouse"))

    def run(sql: str) -> list[list[Any]]:
        settings = (
            " SETTINGS output_format_json_quote_64bit_integers = 0" if "SELECT" in sql and "INTO" not in sql else ""
        )
        form = "JSONCompactEachRow" if settings else "Null"
        return [json.loads(line) for line in str(session.query(sql + settings, form)).splitlines()]

    for statement in statements("schema.sql"):
        session.query(statement)
    yield run
    session.close()


@pytest.fixture
def rotel(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts Rotels with the arguments, and returns the base URL of each."""
    agent = pytest.importorskip("rotel.agent")
    children: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, **environ: str) -> str:
        ports = free_ports(2)
        endpoints = ("--otlp-http-endpoint", f"127.0.0.1:{ports[0]}", "--otlp-grpc-endpoint", f"127.0.0.1:{ports[1]}")
        files = ("--pid-file", str(tmp_path / "rotel.pid"), "--log-file", str(tmp_path / "rotel.log"))
        command = [str(Path(agent.__file__).with_name("rotel-agent")), "start", *endpoints, *files, *arguments]
        child = subprocess.Popen(command, env={**os.environ, **environ}, stdout=subprocess.DEVNULL)
        children.append(child)
        while child.poll() is None and not listens(ports[0]):
            pass
        assert child.poll() is None
        return f"http://127.0.0.1:{ports[0]}"

    yield start
    for child in children:
        child.terminate()
        child.wait(20)


def free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Sink:
    """An HTTP server that stores the path and the body of every request."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self._chunks() if self.headers.get("Transfer-Encoding") else self._whole()
                sink.taken.append((self.path, gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def _whole(self) -> bytes:
                return self.rfile.read(int(self.headers["Content-Length"]))

            def _chunks(self) -> bytes:
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def sink() -> Iterator[Sink]:
    server = Sink()
    yield server
    server.stop()


def some_rows(number: int, chance: random.Random) -> list[Row]:
    """Rows of the last two months, one in ten up to nine years late."""
    installations = [str(uuid.UUID(int=chance.getrandbits(128))) for _ in range(2_000)]
    environments = [
        Environment(version, "linux", name, "12", "cpython", python, runtime)
        for version in ("0.18.1", "0.19.0", "0.19.1")
        for name in ("debian", "ubuntu")
        for python in ("3.10", "3.11")
        for runtime in ("script", "jupyter", "ci")
    ]

    def row() -> Row:
        late = chance.randrange(1, 3_280) if chance.random() < 0.1 else chance.randrange(60)
        event = chance.choice(EVENTS).name
        uid = str(uuid.UUID(int=chance.getrandbits(128)))
        installation, environment = chance.choice(installations), chance.choice(environments)
        return Row(uid, TODAY - timedelta(days=late), event, chance.randint(1, 10**6), installation, environment)

    return [row() for _ in range(number)]


def text(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def request_of(rows: list[Row]) -> bytes:
    groups: dict[tuple[str, Environment], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.installation, row.environment].append(row)
    return json.dumps({"resourceLogs": [group_of(*key, group) for key, group in groups.items()]}).encode()


def group_of(installation: str, environment: Environment, rows: list[Row]) -> dict[str, Any]:
    fields = [text(field.wire, value) for field, value in zip(FIELDS, environment, strict=True)]
    known = [text("service.name", "deepchecks"), text("app.installation.id", installation)]
    return {
        "resource": {"attributes": [*known, *fields]},
        "scopeLogs": [{"scope": {"name": "deepchecks_telemetry"}, "logRecords": [record_of(row) for row in rows]}],
    }


def record_of(row: Row) -> dict[str, Any]:
    days = row.day.toordinal() - date(1970, 1, 1).toordinal()
    return {
        "timeUnixNano": str(days * 86_400 * 10**9),
        "eventName": f"deepchecks.{row.event}",
        "attributes": [
            text("log.record.uid", row.uid),
            {"key": "deepchecks.event.count", "value": {"intValue": str(row.events)}},
        ],
    }


def in_protobuf(rows: list[Row]) -> bytes:
    return ParseDict(json.loads(request_of(rows)), ExportLogsServiceRequest()).SerializeToString()


def post(url: str, bodies: list[bytes]) -> None:
    with requests.Session() as session:
        session.trust_env = False
        for body in bodies:
            response = session.post(
                f"{url}/v1/logs", data=body, headers={"Content-Type": "application/json"}, timeout=60
            )
            assert response.status_code == 200


def insert(query: Query, requests_taken: list[bytes], folder: Path) -> None:
    """Insert as the Collector's ClickHouse exporter does: attributes as text, into its columns."""
    for number, body in enumerate(requests_taken):
        file = folder / f"{number}.jsonl"
        with file.open("w") as out:
            for group in parse_protobuf(body)["resourceLogs"]:
                resource = as_strings(group["resource"]["attributes"])
                for record in (record for scope in group["scopeLogs"] for record in scope["logRecords"]):
                    line = {
                        "Timestamp": str(int(record["timeUnixNano"]) // 10**9),
                        "ServiceName": resource["service.name"],
                        "ResourceAttributes": resource,
                        "LogAttributes": as_strings(record["attributes"]),
                        "EventName": record["eventName"],
                    }
                    out.write(json.dumps(line) + "\n")
        kinds = "Timestamp DateTime64(9), ServiceName String, ResourceAttributes Map(String, String), "
        kinds += "LogAttributes Map(String, String), EventName String"
        query(
            "INSERT INTO deepchecks.otel_logs (Timestamp, ServiceName, ResourceAttributes, LogAttributes, EventName) "
            f"SELECT * FROM file('{file}', JSONEachRow, '{kinds}')"
        )


def as_strings(attributes: list[dict[str, Any]]) -> dict[str, str]:
    return {pair["key"]: str(next(iter(pair["value"].values()))) for pair in attributes}


def late(days: int) -> str:
    bounds = ((1, "0-1 days"), (7, "2-7 days"), (30, "8-30 days"), (90, "31-90 days"))
    return next((name for bound, name in bounds if days <= bound), "over 90 days")


def counted(rows: list[Row]) -> dict[str, dict[str, list[int]]]:
    """The independent count: events, rows and installations for each grouping."""
    keys: dict[str, Callable[[Row], str]] = {
        "event": lambda row: row.event,
        "day": lambda row: row.day.isoformat(),
        "version": lambda row: row.environment.deepchecks_version,
        "os": lambda row: row.environment.os_name,
        "python": lambda row: row.environment.python_version,
        "runtime": lambda row: row.environment.runtime,
        "lateness": lambda row: late((TODAY - row.day).days),
    }
    counts: dict[str, dict[str, list[int]]] = {}
    for name, key in keys.items():
        groups: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            groups[key(row)].append(row)
        counts[name] = {
            value: [sum(row.events for row in group), len(group), len({row.installation for row in group})]
            for value, group in groups.items()
        }
    return counts


def activity(rows: list[Row], start_of: Callable[[date], date]) -> dict[str, list[int]]:
    """Active, new, returned and lost installations by period."""
    seen: dict[date, set[str]] = defaultdict(set)
    for row in rows:
        seen[start_of(row.day)].add(row.installation)
    counts, known = {}, set[str]()
    for period in sorted(seen):
        now, former = seen[period], seen.get(start_of(period - timedelta(days=1)), set())
        counts[period.isoformat()] = [len(now), len(now - known), len(now & known), len(former - now)]
        known |= now
    return counts


def adoption(rows: list[Row]) -> dict[tuple[str, str], int]:
    """The installations of each week by the last version that was seen in it."""
    last: dict[tuple[str, str], tuple[date, str]] = {}
    for row in rows:
        key, seen = (monday(row.day).isoformat(), row.installation), (row.day, row.environment.deepchecks_version)
        last[key] = max(last.get(key, seen), seen)
    return Counter((week, version) for (week, _), (_, version) in last.items())


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def retention(rows: list[Row]) -> dict[str, list[int]]:
    weeks: dict[str, set[date]] = defaultdict(set)
    for row in rows:
        weeks[row.installation].add(monday(row.day))
    cohorts: dict[date, Counter[int]] = defaultdict(Counter)
    for seen in weeks.values():
        cohorts[min(seen)].update((week - min(seen)).days // 7 for week in seen)
    return {first.isoformat(): [count[n] for n in range(max(count) + 1)] for first, count in cohorts.items()}


def cohorts(lines: list[list[Any]]) -> dict[str, list[int]]:
    result: dict[str, list[int]] = {}
    for first, week, installations, _ in lines:
        weeks = result.setdefault(first, [])
        weeks += [0] * (week - len(weeks)) + [installations]
    return result


def test_report_clickhouse_and_an_independent_count_agree(
    tmp_path: Path, query: Query, rotel: Callable[..., str], sink: Sink
) -> None:
    chance = random.Random(7)
    rows = some_rows(ROWS, chance)
    sent = [*rows, *chance.sample(rows, DUPLICATES)]
    chance.shuffle(sent)
    url = rotel(
        "--exporter", "otlp", "--otlp-exporter-protocol", "http", "--otlp-exporter-endpoint", sink.url, *UNSPLIT
    )
    decoded: list[Decoded] = []
    for start in range(0, len(sent), BATCH):
        post(url, [request_of(sent[start : start + BATCH])])
        while sum(len(request.rows) for request in decoded) < start + BATCH:  # ended by the test's timeout
            decoded += [read(parse_protobuf(body), today=TODAY) for _, body in sink.taken[len(decoded) :]]
    assert not any(request.message for request in decoded)
    bodies = [body for _, body in sink.taken]

    with closing(Store(tmp_path / "store.db")) as store:
        for request in decoded:
            store.append(request.rows, received=TODAY)
    counts = report(tmp_path / "store.db")
    insert(query, bodies, tmp_path)
    query("SYSTEM REFRESH VIEW deepchecks.count_days")
    query("SYSTEM WAIT VIEW deepchecks.count_days")

    sql = named_queries()
    total = [sum(row.events for row in rows), ROWS, len({row.installation for row in rows})]
    assert list(counts.total) == total == query(sql["total"])[0]
    recent = [row for row in rows if row.day > TODAY - timedelta(days=28)]
    expected = counted(recent)
    for name in counts.by:
        groups = expected[name]
        assert {value: list(cell) for value, cell in counts.by[name].items()} == groups, name
        assert {value: measures for value, *measures in query(sql[name])} == groups, name
    for one, two in (("event", "runtime"), ("version", "python")):
        found = {(a, b): number for a, b, number in query(sql[f"{one}_by_{two}"])}
        assert found == {(a, b): n for a, others in counts.pairs[one, two].items() for b, n in others.items() if n}
    assert query(sql["funnel"]) == [list(counts.funnel.values())]
    for kind, start_of in (("week", monday), ("month", lambda day: day.replace(day=1))):
        of_periods = activity(rows, start_of)
        assert {period: numbers for period, *numbers in query(sql[kind])} == of_periods
        ended = {period: list(one) for period, one in counts.activity[kind].items() if one.active}
        assert {p: n[:3] for p, n in ended.items()} == {p: n[:3] for p, n in of_periods.items()}
    found = {(week, version): number for week, version, number, _ in query(sql["adoption"])}
    assert found == adoption(rows) == {(w, v): n for w, of in counts.adoption.items() for v, n in of.items()}
    assert {w: n for w, n in shares(query(sql["adoption"])).items() if not 99.8 < n < 100.2} == {}
    returns = {first: numbers[: 1 + last_return(numbers)] for first, numbers in counts.retention.items()}
    assert returns == retention(rows) == cohorts(query(sql["retention"]))
    expected = counted(rows)
    by_day = {value: [events, number] for value, events, number in query(sql["daily"])}
    assert by_day == {value: measures[:2] for value, measures in expected["day"].items()}
    assert query(sql["refused"]) == []
    measure(query, len(sent))


def shares(lines: list[list[Any]]) -> dict[str, float]:
    """The sum of the shares of each week."""
    sums: dict[str, float] = defaultdict(float)
    for week, _, _, percent in lines:
        sums[week] += percent
    return sums


def last_return(numbers: list[int]) -> int:
    return max(week for week, number in enumerate(numbers) if number)


def test_each_query_of_the_dashboard_runs_and_counts_its_range(query: Query, tmp_path: Path) -> None:
    rows = some_rows(500, random.Random(12))
    insert(query, [in_protobuf(rows)], tmp_path)
    first, last = TODAY - timedelta(days=40), TODAY - timedelta(days=9)
    condition = f"day >= toDate('{first}') AND day <= toDate('{last}')"  # what the plugin writes for its macro
    within = counted([row for row in rows if first <= row.day <= last])
    names = {sql.partition("-- name: ")[2].partition("\n")[2]: name for name, sql in named_queries().items()}
    for panel in json.loads((FLEET / "grafana.json").read_text("utf-8"))["panels"]:
        (target,) = panel["targets"]
        name = names[target["rawSql"].replace("$__dateFilter(day)", "day > today() - 28")]
        lines = query(target["rawSql"].replace("$__dateFilter(day)", condition))
        if name in within:
            assert {value: measures for value, *measures in lines} == within[name], panel["title"]
        else:
            assert lines or name == "refused", panel["title"]


def measure(query: Query, sent: int) -> None:
    """Print the size of a row on the disk, after ClickHouse has merged the parts."""
    before = query("SELECT count() FROM deepchecks.rows")[0][0]
    query("OPTIMIZE TABLE deepchecks.rows FINAL")
    parts = "SELECT sum(data_compressed_bytes), sum(rows) FROM system.parts WHERE active AND database = 'deepchecks'"
    size, left = query(f"{parts} AND table = 'rows'")[0]
    assert (before, left) == (query("SELECT count() FROM deepchecks.rows")[0][0], ROWS) or before > left == ROWS
    figures = {"sent": sent, "rows": left, "compressed_bytes": size, "bytes_a_row": round(size / left, 1)}
    print(f"\n{json.dumps(figures)}")
    if path := os.environ.get("FLEET_FIGURES"):
        Path(path).write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


def test_daily_counts_stay_correct_with_late_and_repeated_rows(query: Query, tmp_path: Path) -> None:
    rows = some_rows(600, random.Random(8))

    def receive(part: list[Row]) -> None:
        insert(query, [in_protobuf(part)], tmp_path)
        query("SYSTEM REFRESH VIEW deepchecks.count_days")
        query("SYSTEM WAIT VIEW deepchecks.count_days")

    for part in (rows[:300], rows[100:400], rows, rows[:1]):
        receive(part)
    daily = {value: [events, number] for value, events, number in query(named_queries()["daily"])}
    assert daily == {value: measures[:2] for value, measures in counted(rows)["day"].items()}


def test_the_first_row_of_a_uid_is_kept(query: Query) -> None:
    columns = "day, uid, event, count, installation_id, received"
    for count, received in ((1, "2026-01-02 00:00:00"), (2, "2026-01-01 00:00:00"), (3, "2026-01-03 00:00:00")):
        values = f"'2026-01-01', '{uuid.UUID(int=1)}', 'run-check', {count}, '{uuid.UUID(int=2)}', '{received}'"
        query(f"INSERT INTO deepchecks.rows ({columns}) SELECT {values}")
    assert query("SELECT count FROM deepchecks.rows FINAL") == [[2]]


@pytest.mark.parametrize(
    "change",
    [
        {"event": "run"},
        {"uid": "7"},
        {"events": 0},
        {"events": 10**11},
        {"installation": "me@example.org"},
        {"day": TODAY + timedelta(days=3)},
        {"day": TODAY - timedelta(days=3_700)},
        *({"environment": field.name} for field in FIELDS),
    ],
    ids=str,
)
def test_a_row_outside_the_catalogue_is_refused_and_not_stored(
    query: Query, tmp_path: Path, change: dict[str, Any]
) -> None:
    good = some_rows(1, random.Random(9))[0]._replace(day=TODAY)
    if isinstance(change.get("environment"), str):
        change = {"environment": good.environment._replace(**{change["environment"]: "acme; free text"})}
    bad = good._replace(**{"uid": str(uuid.uuid4()), **change})
    for row in (bad, good):
        insert(query, [in_protobuf([row])], tmp_path)
    assert query(named_queries()["total"]) == [[good.events, 1, 1]]
    assert query(named_queries()["refused"]) == [["not in the catalogue", 1]]


def test_rotel_loses_the_resource_of_a_batch_that_it_splits(rotel: Callable[..., str], sink: Sink) -> None:
    """The reason for the batch size in fleet/rotel.env, which is never reached; not needed if this fails."""
    to_sink = ("--otlp-exporter-protocol", "http", "--otlp-exporter-endpoint", sink.url)
    url = rotel("--exporter", "otlp", *to_sink, "--batch-max-size", "10")
    first, *others = some_rows(15, random.Random(11))
    post(
        url,
        [
            request_of(
                [
                    first,
                    *(row._replace(installation=first.installation, environment=first.environment) for row in others),
                ]
            )
        ],
    )
    while len(sink.taken) < 2:
        pass
    decoded = [read(parse_protobuf(body), today=TODAY) for _, body in sink.taken]
    assert (sum(len(part.rows) for part in decoded), sum(part.rejected for part in decoded)) == (5, 10)


def test_the_insert_of_rotel_has_no_event_name_and_is_counted_as_refused(
    query: Query, rotel: Callable[..., str], sink: Sink, tmp_path: Path
) -> None:
    """If this fails, Rotel inserts EventName and can write to ClickHouse itself: change fleet/rotel.env."""
    arguments = ("--clickhouse-exporter-endpoint", sink.url, "--clickhouse-exporter-compression", "none")
    url = rotel("--exporter", "clickhouse", *arguments, "--clickhouse-exporter-async-insert", "false")
    post(url, [request_of(some_rows(10, random.Random(10)))])
    while not sink.taken:
        pass
    path, body = sink.taken[0]
    columns = re.search(r"otel_logs\+?(?:%20)? ?(?:\(|%28)(.*?)(?:\)|%29)", path)
    assert columns is not None
    names = re.split(r",|%2C", columns[1])
    assert "EventName" not in names
    (tmp_path / "rotel.rows").write_bytes(body)
    kinds = {name: kind for name, kind, *_ in query("SELECT name, type FROM system.columns WHERE table = 'otel_logs'")}
    structure = ", ".join(f"{name} {kinds[name]}" for name in names).replace("'", "\\'")
    source = f"file('{tmp_path / 'rotel.rows'}', RowBinary, '{structure}')"
    query(f"INSERT INTO deepchecks.otel_logs ({', '.join(names)}) SELECT * FROM {source}")
    assert query(named_queries()["refused"]) == [["no event name", 10]]
    assert query(named_queries()["total"]) == [[0, 0, 0]]
