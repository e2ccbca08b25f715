"""`inspect`, `preview`, `sent`, `catalogue`: the exact bytes, documented shapes, and stored text is only ever text."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from deepchecks_telemetry.cli.catalogue import ENVELOPE
from deepchecks_telemetry.cli.output import plain
from deepchecks_telemetry.spool.catalogue import EVENTS, FIELDS

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]
Sql = Callable[..., list[Any]]

# Clears the screen, sets a window's title, hides what follows, and breaks the line.
HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202e\x9b31m\r\nTelemetry is off\x00"


def test_inspect_shows_what_waits_by_day_event_and_environment(deepchecks: Run, record: Record) -> None:
    assert deepchecks("inspect").stdout == "Nothing is pending.\n"
    assert json.loads(deepchecks("inspect", "--json").stdout) == []
    assert record("run-suite", "run-check", "run-check") == [True] * 3
    rows = json.loads(deepchecks("inspect", "--json").stdout)
    assert {(row["event"], row["count"], row["state"]) for row in rows} == {
        ("run-check", 2, "pending"),
        ("run-suite", 1, "pending"),
    }
    assert {tuple(row) for row in rows} == {("day", "event", *(field.name for field in FIELDS), "count", "state")}
    told = deepchecks("inspect").stdout.splitlines()
    assert [line.split()[:3] for line in told[2:]] == [[row["day"], row["event"], str(row["count"])] for row in rows]


@pytest.mark.parametrize("command", [["inspect"], ["inspect", "--json"]])
def test_a_hostile_text_in_the_spool_is_shown_and_does_nothing(
    command: list[str], deepchecks: Run, record: Record, sql: Sql
) -> None:
    assert record("run-check") == [True]
    sql("UPDATE environments SET os_name = ?, runtime = ?, python_version = x'1b5b324a'", HOSTILE, HOSTILE)
    done = deepchecks(*command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.replace("\n", "").isprintable()
    assert "[2J" in done.stdout
    assert len(done.stdout.splitlines()) == (3 if len(command) == 1 else 15)


@pytest.mark.parametrize("command", [["status"], ["status", "--json"], ["sent"], ["sent", "--json"]])
def test_a_hostile_ledger_is_shown_and_does_nothing(
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


@pytest.mark.parametrize("day", ["9223372036854775807", "'tomorrow'", "x'1b'", "-1"])
def test_a_day_or_moment_that_is_none_is_shown_as_it_stands(
    day: str, deepchecks: Run, record: Record, sql: Sql
) -> None:
    assert record("run-check") == [True]
    deepchecks("preview")
    sql(f"UPDATE rows SET day = {day}")
    sql(f"UPDATE batches SET tried_at = {day}, sealed_at = {day}")
    for command in ("inspect", "sent", "status"):
        done = deepchecks(command)
        assert (done.returncode, done.stderr) == (0, ""), command


def test_nothing_that_moves_a_cursor_is_plain() -> None:
    assert plain("é 日本 ok") == "é 日本 ok"
    assert plain("\x1b[31m\n\t\u202e\x9b") == r"\x1b[31m\n\t\u202e\x9b"


def test_preview_writes_the_exact_body_alone_and_sent_shows_it_afterwards(
    program: Run, record: Record, receiver: Any
) -> None:
    assert record("run-check", "run-suite") == [True, True]
    done = program("preview")
    body = done.stdout.encode()
    assert json.loads(body)["resourceLogs"]
    assert f"batch 1: {len(body)} bytes, sha256 {hashlib.sha256(body).hexdigest()}\n" in done.stderr
    assert program("preview").stdout.encode() == body
    program("enable", "--endpoint", receiver.url)
    assert program("flush").returncode == 0
    (packed,) = receiver.bodies
    assert f"as sent (gzip): {len(packed)} bytes, sha256 {hashlib.sha256(packed).hexdigest()}\n" in done.stderr
    assert program("sent", "1").stdout.encode() == body
    (entry,) = json.loads(program("sent", "--json").stdout)
    assert (entry["batch"], entry["state"], entry["events"], entry["rows"]) == (1, "delivered", 2, 2)
    assert entry["sha256"] == hashlib.sha256(body).hexdigest()
    assert set(entry) == {
        *("batch", "state", "events", "rejected", "rows", "attempts", "sealed_at", "tried_at", "outcome", "endpoint"),
        "sha256",
    }
    assert "delivered" in program("sent").stdout


def test_one_command_tells_what_exactly_would_be_sent_and_whether_it_is(
    deepchecks: Run, record: Record, receiver: Any
) -> None:
    assert record("run-check") == [True]
    done = deepchecks("preview")
    assert json.loads(done.stdout)["resourceLogs"]
    assert done.stderr.endswith("\nNothing is sent: no endpoint is set.\n")
    deepchecks("enable", "--endpoint", receiver.url)
    assert deepchecks("preview").stderr.endswith(f"\nCounts are sent to {receiver.url}/v1/logs, at most once a day.\n")


def test_preview_of_nothing_is_nothing(deepchecks: Run, home: Path) -> None:
    done = deepchecks("preview")
    assert (done.returncode, done.stdout, done.stderr) == (
        *(0, ""),
        "Nothing is pending.\nNothing is sent: no endpoint is set.\n",
    )
    assert not home.exists()


def test_preview_says_who_turned_it_off(deepchecks: Run, record: Record) -> None:
    assert record("run-check") == [True]
    done = deepchecks("preview", DO_NOT_TRACK="1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: Telemetry is off, decided by DO_NOT_TRACK. Unset DO_NOT_TRACK.\n")
    assert json.loads(deepchecks("status", "--json").stdout)["sealed"] == 0


def test_a_batch_that_never_was_and_one_that_is_damaged_are_one_line(deepchecks: Run, record: Record, sql: Sql) -> None:
    assert record("run-check") == [True]
    done = deepchecks("sent", "1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: There is no batch 1. To list all batches, run: deepchecks telemetry sent\n"
    deepchecks("preview")
    for spoilt in ("x'1f8b'", "'text'", "NULL", "substr(packed, 1, 40)"):
        sql(f"UPDATE batches SET packed = {spoilt}")
        done = deepchecks("sent", "1")
        assert (done.returncode, done.stdout) == (1, ""), spoilt
        assert done.stderr == (
            "Error: The bytes of batch 1 do not match its SHA-256. "
            "To list all batches, run: deepchecks telemetry sent\n"
        )


def test_the_catalogue_names_every_event_and_field_and_this_machines_values(deepchecks: Run, home: Path) -> None:
    told = json.loads(deepchecks("catalogue", "--json").stdout)
    assert [event["name"] for event in told["events"]] == [event.name for event in EVENTS]
    assert [(field["name"], field["opentelemetry"]) for field in told["fields"]] == [(f.name, f.wire) for f in FIELDS]
    assert all(field.allows(here["here"]) for field, here in zip(FIELDS, told["fields"], strict=True))
    assert [each["opentelemetry"] for each in told["envelope"]] == [each.wire for each in ENVELOPE]
    shown = deepchecks("catalogue").stdout
    known = (*(event.name for event in EVENTS), *(field.wire for field in (*FIELDS, *ENVELOPE)))
    assert all(word in shown for word in known)
    assert not home.exists()


def test_a_spool_that_is_no_database_is_put_aside_and_counting_goes_on(
    deepchecks: Run, record: Record, home: Path
) -> None:
    (home / "state").mkdir(parents=True, mode=0o700)
    (home / "state" / "spool.db").write_bytes(b"nothing that SQLite would read\n" * 100)
    for command, said in (
        ("inspect", "Nothing is pending.\n"),
        ("sent", "There are no batches yet.\n"),
        ("preview", ""),
    ):
        done = deepchecks(command)
        assert (done.returncode, done.stdout) == (0, said)
    assert record("run-check") == [True]
    assert "run-check" in deepchecks("inspect").stdout
