"""`inspect --events` and `--sql`: raw events, and queries that can read everything and change nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from deepchecks_telemetry.cli.errors import CliError
from deepchecks_telemetry.cli.show.query import run_query
from deepchecks_telemetry.spool.catalogue import FIELDS
from deepchecks_telemetry.spool.files.paths import find_home

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]
Files = Callable[[], dict[str, bytes]]

CHANGES = [
    "DELETE FROM events",
    "INSERT INTO events VALUES (9, 1, 1, 1) RETURNING id",
    "UPDATE spool SET epoch = 1",
    "DROP TABLE rows",
    "CREATE TABLE more (x)",
    "CREATE TEMP TABLE more (x)",
    "INSERT INTO catalogue VALUES (8, 'x')",
    "ATTACH 'other.db' AS other",
    "DETACH main",
    "VACUUM INTO 'other.db'",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA writable_schema = ON",
    "PRAGMA query_only = OFF",
    "SELECT load_extension('other')",
    "REINDEX",
    "BEGIN",
    "",
]


def test_raw_events_are_listed_as_stored(deepchecks: Run, record: Record) -> None:
    assert deepchecks("inspect", "--events", "--json").stdout == "[]\n"
    assert record("run-suite", "run-check") == [True] * 2
    events = json.loads(deepchecks("inspect", "--events", "--json").stdout)
    assert [(event["id"], event["event"]) for event in events] == [(2, "run-check"), (1, "run-suite")]
    assert {tuple(event) for event in events} == {("id", "day", "event", *(field.name for field in FIELDS))}
    assert deepchecks("inspect", "--events").stdout.splitlines()[2].split()[:3] == ["2", events[0]["day"], "run-check"]
    deepchecks("preview")
    assert deepchecks("inspect", "--events").stdout.startswith("There are no raw events; ")


def test_a_query_returns_its_rows(deepchecks: Run, record: Record) -> None:
    assert record("run-check", "run-check", "run-suite") == [True] * 3
    sql = "SELECT name, count(*) AS n FROM events JOIN catalogue ON number = event GROUP BY 1 ORDER BY 1"
    assert json.loads(deepchecks("inspect", "--json", "--sql", sql).stdout) == [
        {"name": "run-check", "n": 2},
        {"name": "run-suite", "n": 1},
    ]
    assert deepchecks("inspect", "--sql", sql).stdout.splitlines()[2].split() == ["run-check", "2"]
    assert "uid" in deepchecks("inspect", "--sql", "PRAGMA table_info(rows)").stdout
    assert deepchecks("inspect", "--sql", "SELECT 1 WHERE 0").stdout == "No rows.\n"


@pytest.mark.parametrize("sql", CHANGES)
def test_a_query_that_would_change_anything_is_refused_in_one_line(
    sql: str, deepchecks: Run, record: Record, files: Files
) -> None:
    assert record("run-check") == [True]
    deepchecks("status")  # the last process to close the spool may checkpoint the WAL
    before = files()
    done = deepchecks("inspect", "--sql", sql)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: Only read-only queries are allowed. Start the query with SELECT, WITH or VALUES.\n"
    assert files() == before


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT nope FROM events", "SELECT json('x')", "SELECT 1; SELECT 2"])
def test_an_error_in_a_query_is_one_line_and_not_taken_for_damage(
    sql: str, deepchecks: Run, record: Record, home: Path
) -> None:
    assert record("run-check") == [True]
    done = deepchecks("inspect", "--sql", sql)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("Error: SQLite error: ")
    assert json.loads(deepchecks("status", "--json").stdout)["recorded"] == 1
    assert list((home / "state").glob("*damaged*")) == []


def test_an_endless_query_is_interrupted(record: Record) -> None:
    assert record("run-check") == [True]
    endless = "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) SELECT count(*) FROM a"
    with pytest.raises(CliError, match="took longer"):
        run_query(find_home(), endless, timeout_s=0.05)


def test_the_result_of_a_query_is_escaped(deepchecks: Run, record: Record) -> None:
    assert record("run-check") == [True]
    done = deepchecks("inspect", "--sql", "SELECT char(27) || '[2J' AS \"a\x1b[2Jb\", x'1b5b' AS b")
    assert done.returncode == 0
    assert done.stdout.replace("\n", "").isprintable()
    assert "[2J" in done.stdout


def test_a_query_without_a_spool_fails_and_creates_none(deepchecks: Run, files: Files) -> None:
    done = deepchecks("inspect", "--sql", "SELECT 1")
    assert (done.returncode, done.stderr.startswith("Error: There is no spool yet. ")) == (1, True)
    assert files() == {}
