"""`collector load` and `collector report` say what was received in each form, and fold what is too small in exports."""

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
from deepchecks_telemetry import collector as room
from deepchecks_telemetry.cli import collect
from deepchecks_telemetry.spool.catalogue import FIELDS

VALUES = ("0.19.1", "linux", "debian", "12", "cpython", "3.11", "script")
Run = Callable[..., Result]


@pytest.fixture
def collector(tmp_path: Path) -> Run:
    """Runs `collector …` on one store."""

    def run(command: str, *arguments: str) -> Result:
        words = ["telemetry", "collector", command, "--store", str(tmp_path / "store.db"), *arguments]
        return CliRunner().invoke(cli.deepchecks, words)

    return run


def text(key: str, value: str) -> object:
    return {"key": key, "value": {"stringValue": value}}


def request(installation: int, event: str = "run-check") -> str:
    record = {
        "timeUnixNano": str(int(time.time()) // 86_400 * 86_400 * 10**9),
        "eventName": f"deepchecks.{event}",
        "attributes": [
            text("log.record.uid", str(uuid.uuid4())),
            {"key": "deepchecks.event.count", "value": {"intValue": "3"}},
        ],
    }
    fields = [text(field.wire, value) for field, value in zip(FIELDS, VALUES, strict=True)]
    known = [text("service.name", "deepchecks"), text("app.installation.id", str(uuid.UUID(int=installation)))]
    groups = [{"resource": {"attributes": [*known, *fields]}, "scopeLogs": [{"logRecords": [record]}]}]
    return json.dumps({"resourceLogs": groups}) + "\n"


@pytest.fixture
def loaded(tmp_path: Path, collector: Run) -> None:
    courier = tmp_path / "courier.jsonl"
    courier.write_text("".join(request(n) for n in range(6)) + request(0, "run-suite"))
    done = collector("load", str(courier))
    assert (done.exit_code, done.stdout) == (0, "1 file: 7 new rows, 0 already stored, 0 rejected\n")


def test_loading_again_counts_nothing_twice(loaded: None, tmp_path: Path, collector: Run) -> None:
    assert collector("load", str(tmp_path)).stdout == "1 file: 0 new rows, 7 already stored, 0 rejected\n"


def test_what_was_not_kept_is_told_on_standard_error(tmp_path: Path, collector: Run) -> None:
    (tmp_path / "courier.jsonl").write_text("<html>\n" + request(1))
    done = collector("load", str(tmp_path / "courier.jsonl"))
    assert (done.exit_code, done.stdout) == (1, "1 file: 1 new row, 0 already stored, 0 rejected\n")
    assert "courier.jsonl, line 1: The body is not JSON" in done.stderr
    assert "Error: 1 line contained data that was not stored." in done.stderr


def test_what_is_handed_on_is_folded_where_it_is_too_small_and_what_is_read_here_is_not(
    loaded: None, collector: Run
) -> None:
    told = json.loads(collector("report", "--json", "--min-cell", "5").stdout)
    assert (told["events"], told["rows"], told["installations"], told["by_event"]) == (21, 7, 6, {"other": 21})
    assert list(told["by_day"].values()) == [21]
    whole = json.loads(collector("report", "--json").stdout)
    assert whole["by_event"] == {"run-check": 18, "run-suite": 3}
    shown = collector("report").stdout
    assert shown.startswith("21 events in 7 rows from 6 installations\n")
    assert "run-suite" in shown
    assert "run-suite" not in collector("report", "--min-cell", "5").stdout
    assert "run-suite" not in collector("report", "--html").stdout


def test_csv_is_read_by_a_csv_reader(loaded: None, collector: Run) -> None:
    lines = list(csv.DictReader(io.StringIO(collector("report", "--csv").stdout)))
    assert [(line["value"], line["events"]) for line in lines if line["by"] == "version"] == [("0.19.1", "21")]


@pytest.mark.parametrize("arguments", ["--json --csv", "--html --csv", "--min-cell 0"])
def test_what_contradicts_itself_is_a_usage_error(loaded: None, collector: Run, arguments: str) -> None:
    assert collector("report", *arguments.split()).exit_code == 2


def test_the_default_is_the_rooms_own() -> None:
    assert room.MIN_CELL == collect.MIN_CELL
