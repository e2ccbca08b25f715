"""`sent`: the batches and their exact bodies; stored text is escaped."""

import csv
import io
import json
from collections.abc import Callable
from subprocess import CompletedProcess
from typing import Any

import pytest

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]
Sql = Callable[..., list[Any]]

# Clears the screen, sets the window title, reverses the text direction, begins a colour, and breaks the line.
HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202e\x9b31m\r\nTelemetry is off\x00"


@pytest.mark.parametrize("command", [["status"], ["status", "--json"], ["sent"], ["sent", "--json"]])
def test_status_and_sent_escape_control_characters_in_the_ledger(
    command: list[str], deepchecks: Run, record: Record, sql: Sql
) -> None:
    assert record("run-check") == [True]
    deepchecks("preview")
    sql(
        "UPDATE batches SET outcome = ?, endpoint = ?, sha256 = ?, attempts = 1, tried_at = 1",
        HOSTILE,
        HOSTILE,
        HOSTILE,
    )
    sql("UPDATE spool SET installation = ?", HOSTILE)
    done = deepchecks(*command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.replace("\n", "").isprintable()
    assert "[2J" in done.stdout


def test_batches_are_listed_newest_first_as_csv_and_up_to_a_limit(
    deepchecks: Run, record: Record, receiver: Any
) -> None:
    for _ in range(2):
        assert record("run-check") == [True]
        deepchecks("enable", "--endpoint", receiver.url)
        assert deepchecks("flush").returncode == 0
    everything = json.loads(deepchecks("sent", "--json").stdout)
    assert [entry["batch"] for entry in everything] == [2, 1]
    assert json.loads(deepchecks("sent", "--json", "--limit", "1").stdout) == everything[:1]
    rows = list(csv.DictReader(io.StringIO(deepchecks("sent", "--csv").stdout)))
    assert rows == [{name: str(value) for name, value in entry.items()} for entry in everything]


def test_batches_since_a_day_are_those_of_the_last_attempt_or_of_sealing(
    deepchecks: Run, record: Record, receiver: Any, sql: Sql
) -> None:
    assert record("run-check") == [True]
    deepchecks("enable", "--endpoint", receiver.url)
    assert deepchecks("flush").returncode == 0
    assert record("run-suite") == [True]
    assert deepchecks("preview").returncode == 0
    day_s = 86_400
    sql("UPDATE batches SET sealed_at = ?, tried_at = ? WHERE id = 1", 10 * day_s, 20 * day_s)
    sql("UPDATE batches SET sealed_at = ? WHERE id = 2", 15 * day_s)

    def since(day: str) -> list[int]:
        return [entry["batch"] for entry in json.loads(deepchecks("sent", "--json", "--since", day).stdout)]

    assert [since(f"1970-01-{day}") for day in (16, 17, 21, 22)] == [[2, 1], [1], [1], []]
    assert deepchecks("sent", "--since", "1970-01-22").stdout == "There is no batch of 1970-01-22 or later.\n"


def test_an_unknown_or_damaged_batch_is_one_line(deepchecks: Run, record: Record, sql: Sql) -> None:
    assert record("run-check") == [True]
    done = deepchecks("sent", "1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: There is no batch 1. To list all batches, run: deepchecks telemetry sent\n"
    deepchecks("preview")
    for damaged in ("x'1f8b'", "'text'", "NULL", "substr(packed, 1, 40)"):
        sql(f"UPDATE batches SET packed = {damaged}")
        done = deepchecks("sent", "1")
        assert (done.returncode, done.stdout) == (1, ""), damaged
        assert done.stderr == (
            "Error: The bytes of batch 1 do not match its SHA-256. "
            "To list all batches, run: deepchecks telemetry sent\n"
        )
