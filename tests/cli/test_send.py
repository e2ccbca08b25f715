"""`flush`: 0 only when nothing is left waiting; whatever a receiver does, nothing is lost and one line says so."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]

WAITS = "Error: Still waiting: 2 events. Nothing is lost; try again later.\n"


def books(deepchecks: Run, *names: str) -> list[Any]:
    facts = json.loads(deepchecks("status", "--json").stdout)
    return [facts[name] for name in names]


def test_flush_sends_what_waits_and_says_so(deepchecks: Run, record: Record, receiver: Any) -> None:
    assert record("run-check", "run-suite") == [True, True]
    deepchecks("enable", "--endpoint", receiver.url)
    done = deepchecks("flush")
    assert (done.returncode, done.stdout, done.stderr) == (0, "batch 1: 2 events, delivered\n", "")
    assert books(deepchecks, "delivered", "pending", "sealed") == [2, 0, 0]
    again = deepchecks("flush")
    assert (again.returncode, again.stdout, again.stderr) == (0, "Nothing waits.\n", "")
    assert len(receiver.bodies) == 1


def test_flush_has_a_documented_shape_for_a_script(deepchecks: Run, record: Record, receiver: Any) -> None:
    assert record("run-check") == [True]
    deepchecks("enable", "--endpoint", receiver.url)
    told = json.loads(deepchecks("flush", "--json").stdout)
    (batch,) = told.pop("batches")
    assert told == {"endpoint": f"{receiver.url}/v1/logs", "left": 0}
    assert set(batch) == {"batch", "events", "outcome", "reason", "sha256"}
    assert (batch["batch"], batch["events"], batch["outcome"]) == (1, 1, "delivered")


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (200, b"<html>Welcome to the hotel</html>", "HTTP 200, but the answer is no OTLP"),
        (503, b"", "HTTP 503"),
        (413, b"", "HTTP 413"),
        (302, b"", "HTTP 302"),
    ],
)
def test_an_answer_that_is_no_success_keeps_everything(
    status: int, answer: bytes, said: str, deepchecks: Run, record: Record, receiver: Any
) -> None:
    receiver.status, receiver.answer = status, answer
    assert record("run-check", "run-suite") == [True, True]
    deepchecks("enable", "--endpoint", receiver.url)
    done = deepchecks("flush")
    assert (done.returncode, done.stderr) == (1, WAITS)
    assert done.stdout.startswith(f"batch 1: 2 events, {said}")
    assert books(deepchecks, "recorded", "sealed") == [2, 2]
    receiver.status, receiver.answer = 200, b"{}"
    assert deepchecks("flush").returncode == 0
    assert books(deepchecks, "recorded", "sealed", "delivered") == [2, 0, 2]


@pytest.mark.parametrize("arguments", [["flush"], ["flush", "--json"]])
def test_a_refused_connection_keeps_everything(arguments: list[str], program: Run, record: Record) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert record("run-check", "run-suite") == [True, True]
        done = program(*arguments, DEEPCHECKS_TELEMETRY_ENDPOINT=url)
    assert (done.returncode, done.stderr) == (1, WAITS)
    if "--json" in arguments:
        assert json.loads(done.stdout)["left"] == 2
    else:
        assert done.stdout == "batch 1: 2 events, no connection\n"
    assert books(program, "recorded", "sealed") == [2, 2]


def test_a_receiver_that_asks_for_patience_gets_it_unless_told_otherwise(
    deepchecks: Run, record: Record, receiver: Any, sql: Callable[..., Any]
) -> None:
    assert record("run-check", "run-suite") == [True, True]
    deepchecks("enable", "--endpoint", receiver.url)
    sql("UPDATE spool SET retry_after = unixepoch() + 3600")
    done = deepchecks("flush")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: The receiver asked not to be called again for ")
    assert done.stderr.count("\n") == 1
    assert receiver.bodies == []
    assert deepchecks("flush", "--now").returncode == 0


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "No endpoint is configured. Set one with: deepchecks telemetry enable --endpoint https://HOST"),
        (
            {"DEEPCHECKS_TELEMETRY": "off"},
            "Telemetry is off here (DEEPCHECKS_TELEMETRY). See: deepchecks telemetry status",
        ),
        ({"DO_NOT_TRACK": "1"}, "Telemetry is off here (DO_NOT_TRACK). See: deepchecks telemetry status"),
    ],
)
def test_what_forbids_to_send_is_one_line_and_no_request(
    variables: dict[str, str], said: str, deepchecks: Run, record: Record
) -> None:
    assert record("run-check") == [True]
    done = deepchecks("flush", **variables)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"Error: {said}\n")
    assert books(deepchecks, "recorded", "pending") == [1, 1]


def test_an_endpoint_in_the_environment_that_is_no_url_is_one_line(deepchecks: Run, record: Record) -> None:
    assert record("run-check") == [True]
    done = deepchecks("flush", DEEPCHECKS_TELEMETRY_ENDPOINT="collector.example.org")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: The endpoint is no URL")
    assert done.stderr.count("\n") == 1


def test_where_nothing_was_recorded_nothing_waits(deepchecks: Run, home: Path) -> None:
    done = deepchecks("flush", DEEPCHECKS_TELEMETRY_ENDPOINT="http://127.0.0.1:9")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Nothing waits.\n", "")
    assert not home.exists()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no pseudo-terminals")
def test_a_person_sees_how_far_a_long_flush_is_and_a_script_does_not(
    deepchecks: Run, record: Record, receiver: Any, sql: Callable[..., list[Any]]
) -> None:
    record("run-check")
    deepchecks("enable", "--endpoint", receiver.url)
    days = "WITH RECURSIVE d(n) AS (SELECT 16000 UNION ALL SELECT n + 1 FROM d WHERE n < 17499)"
    for on_a_terminal in (True, False):
        sql(f"{days} INSERT INTO folded SELECT n, 2, 1, 1 FROM d")
        ours, theirs = os.openpty()
        command = [sys.executable, "-m", "deepchecks_telemetry.cli", "telemetry", "flush"]
        told = theirs if on_a_terminal else subprocess.PIPE
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=told, text=True, timeout=60)
        os.close(theirs)
        shown = os.read(ours, 65536).decode() if on_a_terminal else done.stderr
        os.close(ours)
        assert done.returncode == 0
        assert len(done.stdout.splitlines()) == 2
        assert ("Sending" in shown, "100%" in shown) == (on_a_terminal, on_a_terminal)
