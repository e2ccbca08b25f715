"""`inspect`: unsent counts in a documented form; stored text is escaped."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from deepchecks_telemetry.spool.catalogue import FIELDS

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]
Sql = Callable[..., list[Any]]

# Clears the screen, sets the window title, reverses the text direction, begins a colour, and breaks the line.
HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202e\x9b31m\r\nTelemetry is off\x00"


def test_inspect_lists_unsent_counts_by_day_event_and_environment(deepchecks: Run, record: Record) -> None:
    assert deepchecks("inspect").stdout == "Nothing is pending.\n"
    assert json.loads(deepchecks("inspect", "--json").stdout) == []
    assert record("run-suite", "run-check", "run-check") == [True] * 3
    rows = json.loads(deepchecks("inspect", "--json").stdout)
    assert {(row["event"], row["count"], row["state"]) for row in rows} == {
        ("run-check", 2, "pending"),
        ("run-suite", 1, "pending"),
    }
    assert {tuple(row) for row in rows} == {("day", "event", *(field.name for field in FIELDS), "count", "state")}
    lines = deepchecks("inspect").stdout.splitlines()
    assert [line.split()[:3] for line in lines[2:]] == [[row["day"], row["event"], str(row["count"])] for row in rows]


def test_inspect_lists_the_newest_first_since_a_day_and_up_to_a_limit(
    deepchecks: Run, record: Record, sql: Sql
) -> None:
    assert record("run-suite", "run-check") == [True] * 2
    sql("UPDATE events SET day = day - 5 WHERE id = 1")
    new, old = json.loads(deepchecks("inspect", "--json").stdout)
    assert (new["event"], old["event"]) == ("run-check", "run-suite")
    for selection in (("--since", new["day"]), ("--limit", "1"), ("--since", old["day"], "--limit", "1")):
        assert json.loads(deepchecks("inspect", "--json", *selection).stdout) == [new]
    assert len(json.loads(deepchecks("inspect", "--events", "--json", "--since", old["day"]).stdout)) == 2
    assert deepchecks("inspect", "--since", "9999-12-31").stdout == "Nothing of 9999-12-31 or later is pending.\n"


def test_inspect_prints_csv_without_formulas(deepchecks: Run, record: Record, sql: Sql) -> None:
    assert deepchecks("inspect", "--csv").stdout == ""
    assert record("run-check") == [True]
    (row,) = json.loads(deepchecks("inspect", "--json").stdout)
    (read,) = csv.DictReader(io.StringIO(deepchecks("inspect", "--csv").stdout))
    assert read == {name: str(value) for name, value in row.items()}
    sql("UPDATE environments SET runtime = '=HYPERLINK(\"x\")'")
    (read,) = csv.DictReader(io.StringIO(deepchecks("inspect", "--csv").stdout))
    assert read["runtime"] == '\'=HYPERLINK("x")'
    query = ("inspect", "--csv", "--sql", "SELECT 1 AS a, 'b,c' AS \"=d\"")
    assert deepchecks(*query).stdout == 'a,\'=d\n1,"b,c"\n'
    query = ("inspect", "--csv", "--sql", "SELECT -1 AS number, NULL AS empty, '-1' AS formula")
    assert deepchecks(*query).stdout == "number,empty,formula\n-1,,'-1\n"


def test_with_nl_each_row_is_a_json_object_on_its_line(deepchecks: Run, record: Record, sql: Sql) -> None:
    assert deepchecks("inspect", "--nl").stdout == deepchecks("sent", "--nl").stdout == ""
    assert record("run-check", "run-suite") == [True] * 2
    assert deepchecks("preview").returncode == 0
    sql("UPDATE environments SET runtime = ?", HOSTILE)
    for arguments in (["inspect"], ["inspect", "--events"], ["inspect", "--sql", "SELECT uid FROM rows"], ["sent"]):
        lines = deepchecks(*arguments, "--nl").stdout.splitlines()
        assert [json.loads(line) for line in lines] == json.loads(deepchecks(*arguments, "--json").stdout), arguments
        assert "".join(lines).isprintable()


@pytest.mark.parametrize(
    "arguments",
    [
        "inspect --csv --json",
        "inspect --nl --json",
        "inspect --sql x --limit 1",
        "inspect --since today",
        "sent 1 --csv",
        "sent 1 --nl",
        "sent 1 --since 2026-01-31",
        "sent --nl --csv",
        "status --short --json",
    ],
)
def test_options_that_cannot_be_combined_are_a_usage_error(arguments: str, deepchecks: Run) -> None:
    done = deepchecks(*arguments.split())
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("command", [["inspect"], ["inspect", "--json"]])
def test_inspect_escapes_control_characters_in_the_spool(
    command: list[str], deepchecks: Run, record: Record, sql: Sql
) -> None:
    assert record("run-check") == [True]
    sql("UPDATE environments SET os_name = ?, runtime = ?, python_version = x'1b5b324a'", HOSTILE, HOSTILE)
    done = deepchecks(*command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.replace("\n", "").isprintable()
    assert "[2J" in done.stdout
    assert len(done.stdout.splitlines()) == (3 if len(command) == 1 else 15)


@pytest.mark.parametrize("day", ["9223372036854775807", "'tomorrow'", "x'1b'", "-1"])
def test_an_invalid_day_or_time_is_shown_unchanged(day: str, deepchecks: Run, record: Record, sql: Sql) -> None:
    assert record("run-check") == [True]
    deepchecks("preview")
    sql(f"UPDATE rows SET day = {day}")
    sql(f"UPDATE batches SET tried_at = {day}, sealed_at = {day}")
    for command in ("inspect", "sent", "status"):
        done = deepchecks(command)
        assert (done.returncode, done.stderr) == (0, ""), command


def test_a_spool_that_is_not_a_database_is_quarantined_and_recording_continues(
    deepchecks: Run, record: Record, home: Path
) -> None:
    (home / "state").mkdir(parents=True, mode=0o700)
    (home / "state" / "spool.db").write_bytes(b"nothing that SQLite would read\n" * 100)
    for command, output in (
        ("inspect", "Nothing is pending.\n"),
        ("sent", "There are no batches yet.\n"),
        ("preview", ""),
    ):
        done = deepchecks(command)
        assert (done.returncode, done.stdout) == (0, output)
    assert record("run-check") == [True]
    assert "run-check" in deepchecks("inspect").stdout
