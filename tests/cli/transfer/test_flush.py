"""`flush`: exits with 0 only if nothing is left; no failure loses counts, and each is one line with a remedy."""

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

from deepchecks_telemetry.cli.errors import instruction
from deepchecks_telemetry.uploader.wire.causes import remedy_for

from .conftest import read_counts

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]

SENDING = "Sending to {url}/v1/logs (set by {source}).\n"


def test_flush_sends_pending_counts_and_prints_each_batch(deepchecks: Run, record: Record, receiver: Any) -> None:
    assert record("run-check", "run-suite") == [True, True]
    deepchecks("enable", "--endpoint", receiver.url)
    done = deepchecks("flush")
    assert (done.returncode, done.stdout, done.stderr) == (
        *(0, "batch 1: 2 events, delivered\n"),
        SENDING.format(url=receiver.url, source="your choice"),
    )
    assert read_counts(deepchecks, "delivered", "pending", "sealed") == [2, 0, 0]
    again = deepchecks("flush")
    assert (again.returncode, again.stdout, again.stderr) == (0, "Nothing is pending.\n", "")
    assert len(receiver.bodies) == 1


def test_the_json_of_flush_has_the_documented_keys(deepchecks: Run, record: Record, receiver: Any) -> None:
    assert record("run-check") == [True]
    deepchecks("enable", "--endpoint", receiver.url)
    output = json.loads(deepchecks("flush", "--json").stdout)
    (batch,) = output.pop("batches")
    assert output == {"endpoint": f"{receiver.url}/v1/logs", "left": 0}
    assert set(batch) == {"batch", "events", "outcome", "reason", "sha256"}
    assert (batch["batch"], batch["events"], batch["outcome"]) == (1, 1, "delivered")


@pytest.mark.parametrize(
    ("status", "answer", "result"),
    [
        (200, b"<html>Welcome to the hotel</html>", "not delivered: HTTP 200: not an OTLP response"),
        (503, b"", "not delivered: HTTP 503: the receiver is not available"),
        (413, b"", "parked: HTTP 413: the request is larger than the receiver accepts"),
        (302, b"", "not delivered: HTTP 302: redirects are not followed"),
    ],
)
def test_a_response_that_is_not_a_success_keeps_all_counts(
    status: int, answer: bytes, result: str, deepchecks: Run, record: Record, receiver: Any
) -> None:
    receiver.status, receiver.answer = status, answer
    assert record("run-check", "run-suite") == [True, True]
    deepchecks("enable", "--endpoint", receiver.url)
    done = deepchecks("flush")
    assert (done.returncode, done.stdout) == (1, f"batch 1: 2 events, {result}\n")
    state, _, reason = result.replace("not delivered", "sealed").partition(": ")
    host = receiver.url.removeprefix("http://")
    error = f"Error: Events not sent: 2 {state}. {host}: {reason}. {instruction(remedy_for(reason))} Nothing is lost.\n"
    assert done.stderr.splitlines(keepends=True)[1:] == [error]
    assert read_counts(deepchecks, "recorded", state) == [2, 2]
    receiver.status, receiver.answer = 200, b"{}"
    assert deepchecks("flush").returncode == 0
    assert read_counts(deepchecks, "recorded", "sealed", "delivered") == [2, 0, 2]


@pytest.mark.parametrize("arguments", [["flush"], ["flush", "--json"]])
def test_a_refused_connection_keeps_all_counts(arguments: list[str], program: Run, record: Record) -> None:
    with socket.socket() as bound:  # but not listening
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        assert record("run-check", "run-suite") == [True, True]
        done = program(*arguments, DEEPCHECKS_TELEMETRY_ENDPOINT=url)
    refused = f"{url.removeprefix('http://')}: connection refused. Check that the receiver is running"
    assert (done.returncode, refused in done.stderr) == (1, True)
    if "--json" in arguments:
        assert json.loads(done.stdout)["left"] == 2
    else:
        assert done.stdout == "batch 1: 2 events, not delivered: connection refused\n"
    assert read_counts(program, "recorded", "sealed") == [2, 2]


def test_retry_after_is_respected_unless_now_is_given(
    deepchecks: Run, record: Record, receiver: Any, sql: Callable[..., Any]
) -> None:
    assert record("run-check", "run-suite") == [True, True]
    deepchecks("enable", "--endpoint", receiver.url)
    host = receiver.url.removeprefix("http://")
    sql("INSERT INTO retry_after VALUES (?, unixepoch() + 3600)", host)
    done = deepchecks("flush")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: Nothing was sent: {host} asked to wait until ")
    assert done.stderr.endswith("Z (Retry-After). Run: deepchecks telemetry flush --now\n")
    assert done.stderr.count("\n") == 1
    assert receiver.bodies == []
    assert deepchecks("flush", "--now").returncode == 0


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "no endpoint is set. Run: deepchecks telemetry enable --endpoint https://HOST"),
        (
            {"DEEPCHECKS_TELEMETRY": "off"},
            "telemetry is off, decided by DEEPCHECKS_TELEMETRY. Unset DEEPCHECKS_TELEMETRY.",
        ),
        ({"DO_NOT_TRACK": "1"}, "telemetry is off, decided by DO_NOT_TRACK. Unset DO_NOT_TRACK."),
    ],
)
def test_where_sending_is_not_allowed_flush_prints_one_line_and_makes_no_request(
    variables: dict[str, str], message: str, deepchecks: Run, record: Record
) -> None:
    assert record("run-check") == [True]
    done = deepchecks("flush", **variables)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"Error: Nothing was sent: {message}\n")
    assert read_counts(deepchecks, "recorded", "pending") == [1, 1]


def test_an_invalid_endpoint_in_the_environment_is_one_line(deepchecks: Run, record: Record) -> None:
    assert record("run-check") == [True]
    done = deepchecks("flush", DEEPCHECKS_TELEMETRY_ENDPOINT="collector.example.org")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "Error: Nothing was sent: invalid endpoint: expected https://HOST, http://HOST or file:///DIR (set by "
        "DEEPCHECKS_TELEMETRY_ENDPOINT). Correct or unset DEEPCHECKS_TELEMETRY_ENDPOINT.\n"
    )
    assert done.stderr.count("\n") == 1


def test_flush_without_a_spool_sends_nothing_and_creates_none(deepchecks: Run, home: Path) -> None:
    done = deepchecks("flush", DEEPCHECKS_TELEMETRY_ENDPOINT="http://127.0.0.1:9")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Nothing is pending.\n", "")
    assert not home.exists()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no pseudo-terminals")
def test_a_long_flush_shows_progress_only_on_a_terminal(
    deepchecks: Run, record: Record, receiver: Any, sql: Callable[..., list[Any]]
) -> None:
    record("run-check")
    deepchecks("enable", "--endpoint", receiver.url)
    days = "WITH RECURSIVE d(n) AS (SELECT 16000 UNION ALL SELECT n + 1 FROM d WHERE n < 17499)"
    for on_a_terminal in (True, False):
        sql(f"{days} INSERT INTO folded SELECT n, 2, 1, 1 FROM d")
        controller, terminal = os.openpty()
        command = [sys.executable, "-m", "deepchecks_telemetry.cli", "telemetry", "flush"]
        stderr = terminal if on_a_terminal else subprocess.PIPE
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, text=True, timeout=60)
        os.close(terminal)
        shown = os.read(controller, 65536).decode() if on_a_terminal else done.stderr
        os.close(controller)
        assert done.returncode == 0
        assert len(done.stdout.splitlines()) == 2
        assert ("Sending  [" in shown, "100%" in shown) == (on_a_terminal, on_a_terminal)


@pytest.mark.skipif(os.name != "posix", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_reports_that_nothing_is_lost_and_the_attempt_has_no_earlier_outcome(
    deepchecks: Run, record: Record, receiver: Any, interrupt: Callable[..., tuple[int, str, str]]
) -> None:
    assert record("run-check", "run-suite") == [True, True]
    deepchecks("enable", "--endpoint", receiver.url)
    receiver.status = 413
    assert deepchecks("flush").returncode == 1
    code, out, err = interrupt("flush")
    assert (code, out) == (1, "")
    assert err == (
        f"Sending to {receiver.url}/v1/logs (set by your choice).\n"
        "Error: Interrupted. Nothing is lost: 2 events not delivered yet. A request in progress is sent again "
        "with the same identifiers. Run: deepchecks telemetry flush\n"
    )
    (batch,) = json.loads(deepchecks("sent", "--json").stdout)
    assert (batch["state"], batch["attempts"], batch["outcome"]) == ("parked", 2, None)
    assert "outcome unknown" in deepchecks("sent").stdout
    assert "outcome unknown" in deepchecks("status").stdout
    receiver.status = 200
    assert deepchecks("flush").returncode == 0
    assert len(set(receiver.bodies)) == 1
