"""`collector load` and `collector report`: every form of the report, and small counts merged in reports for others."""

import csv
import io
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deepchecks_telemetry import cli
from deepchecks_telemetry.spool.catalogue import FIELDS

VALUES = ("0.19.1", "linux", "debian", "12", "cpython", "3.11", "script")
Run = Callable[..., Result]


@pytest.fixture
def collector(tmp_path: Path) -> Run:
    """Run `collector …` on one store."""

    def run(command: str, *arguments: str) -> Result:
        words = ["telemetry", "collector", command, "--store", str(tmp_path / "store.db"), *arguments]
        return CliRunner().invoke(cli.deepchecks, words)

    return run


def attribute(key: str, value: str) -> object:
    return {"key": key, "value": {"stringValue": value}}


def request(installation: int, event: str = "run-check") -> str:
    record = {
        "timeUnixNano": str(int(time.time()) // 86_400 * 86_400 * 10**9),
        "eventName": f"deepchecks.{event}",
        "attributes": [
            attribute("log.record.uid", str(uuid.uuid4())),
            {"key": "deepchecks.event.count", "value": {"intValue": "3"}},
        ],
    }
    fields = [attribute(field.wire, value) for field, value in zip(FIELDS, VALUES, strict=True)]
    common = [
        attribute("service.name", "deepchecks"),
        attribute("app.installation.id", str(uuid.UUID(int=installation))),
    ]
    groups = [{"resource": {"attributes": [*common, *fields]}, "scopeLogs": [{"logRecords": [record]}]}]
    return json.dumps({"resourceLogs": groups}) + "\n"


@pytest.fixture
def loaded(tmp_path: Path, collector: Run) -> None:
    file = tmp_path / "counts.jsonl"
    file.write_text("".join(request(n) for n in range(6)) + request(0, "run-suite"))
    done = collector("load", str(file))
    assert (done.exit_code, done.stdout) == (0, "1 file: 7 new rows, 0 already stored, 0 rejected\n")


def test_loading_a_file_again_stores_no_row_twice(loaded: None, tmp_path: Path, collector: Run) -> None:
    assert collector("load", str(tmp_path)).stdout == "1 file: 0 new rows, 7 already stored, 0 rejected\n"


def test_rejected_lines_are_reported_on_stderr(tmp_path: Path, collector: Run) -> None:
    (tmp_path / "counts.jsonl").write_text("<html>\n" + request(1))
    done = collector("load", str(tmp_path / "counts.jsonl"))
    assert (done.exit_code, done.stdout) == (1, "1 file: 1 new row, 0 already stored, 0 rejected\n")
    assert "counts.jsonl, line 1: The body is not JSON" in done.stderr
    assert "Error: 1 line contained data that was not stored." in done.stderr


def test_small_counts_are_rounded_only_in_reports_for_others(loaded: None, collector: Run) -> None:
    rounded = json.loads(collector("report", "--json", "--min-cell", "5").stdout)
    assert (rounded["events"], rounded["rows"], rounded["installations"]) == (None, None, 5)
    assert rounded["fields"]["event"] == {"run-check": {"events": None, "rows": None, "installations": 5}}
    full = json.loads(collector("report", "--json").stdout)
    assert {name: cell["events"] for name, cell in full["fields"]["event"].items()} == {"run-check": 18, "run-suite": 3}
    assert "6 installations, 21 events in 7 rows" in collector("report").stdout
    assert "run-suite" in collector("report").stdout
    for options in (("--min-cell", "5"), ("--html",), ("--csv",), ("--min-cell", "5", "--long")):
        assert "run-suite" not in collector("report", *options).stdout, options


def test_the_csv_report_is_valid_csv(loaded: None, collector: Run) -> None:
    lines = list(csv.DictReader(io.StringIO(collector("report", "--csv", "--min-cell", "1").stdout)))
    assert [(line["value"], line["events"]) for line in lines if line["table"] == "version"] == [("0.19.1", "21")]


def test_a_range_and_a_filter_choose_what_is_counted(loaded: None, collector: Run) -> None:
    today = time.strftime("%Y-%m-%d", time.gmtime())
    chosen = json.loads(collector("report", "--json", "--event", "run-suite", "--since", today, "--by", "day").stdout)
    assert (chosen["since"], chosen["events"], chosen["event"]) == (today, 3, "run-suite")
    assert "nothing was counted" in collector("report", "--until", "2020-01-01").stdout
    assert "nothing was counted" in collector("report", "--version", "0.18.0").stdout


def test_the_long_report_has_all_values_and_the_short_one_the_first(loaded: None, collector: Run) -> None:
    short, long = collector("report").stdout, collector("report", "--long").stdout
    assert "installations by Runtime" not in short
    assert "installations by Runtime" in long
    for statement in ("not a sample of all users", "Names of checks and their results are not collected"):
        assert statement in short
        assert statement in long


@pytest.mark.parametrize(
    "arguments",
    ["--json --csv", "--html --csv", "--min-cell 0", "--min-cell 7", "--since 2026-02-02 --until 2026-02-01"],
)
def test_contradictory_options_are_a_usage_error(loaded: None, collector: Run, arguments: str) -> None:
    assert collector("report", *arguments.split()).exit_code == 2


def test_a_query_reads_the_views_in_every_format(loaded: None, collector: Run) -> None:
    sql = "SELECT event, count(*) AS rows FROM rows GROUP BY event ORDER BY event"
    expected = [{"event": "run-check", "rows": 6}, {"event": "run-suite", "rows": 1}]
    assert json.loads(collector("report", "--sql", sql, "--json").stdout) == expected
    assert collector("report", "--sql", sql, "--csv").stdout.splitlines() == [
        "event,rows",
        "run-check,6",
        "run-suite,1",
    ]
    assert "run-suite" in collector("report", "--sql", sql).stdout
    assert collector("report", "--sql", "SELECT * FROM weekly_active WHERE 0").stdout == "No rows.\n"


@pytest.mark.parametrize(
    "sql",
    ["DELETE FROM counts", "DROP VIEW rows", "ATTACH 'other.db' AS other", "PRAGMA user_version = 9", "SELECT nope"],
)
def test_a_query_changes_nothing(loaded: None, collector: Run, tmp_path: Path, sql: str) -> None:
    done = collector("report", "--sql", sql)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert json.loads(collector("report", "--json").stdout)["rows"] == 7


@pytest.mark.parametrize("option", [("--html",), ("--min-cell", "5"), ("--by", "day"), ("--event", "run-check")])
def test_a_query_is_not_combined_with_other_options(loaded: None, collector: Run, option: tuple[str, ...]) -> None:
    done = collector("report", "--sql", "SELECT 1", *option)
    assert (done.exit_code, "a query sees every count" in done.stderr) == (2, True)
