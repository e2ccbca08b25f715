"""`preview`: the exact body of the next request, and whether it is sent."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]


def test_preview_prints_only_the_exact_body_and_sent_shows_it_afterwards(
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


def test_preview_prints_the_body_and_whether_it_is_sent(deepchecks: Run, record: Record, receiver: Any) -> None:
    assert record("run-check") == [True]
    done = deepchecks("preview")
    assert json.loads(done.stdout)["resourceLogs"]
    assert done.stderr.endswith("\nNothing is sent: no endpoint is set.\n")
    deepchecks("enable", "--endpoint", receiver.url)
    assert deepchecks("preview").stderr.endswith(f"\nCounts are sent to {receiver.url}/v1/logs, at most once a day.\n")


def test_preview_without_counts_prints_no_body(deepchecks: Run, home: Path) -> None:
    done = deepchecks("preview")
    assert (done.returncode, done.stdout, done.stderr) == (
        *(0, ""),
        "Nothing is pending.\nNothing is sent: no endpoint is set.\n",
    )
    assert not home.exists()


def test_preview_fails_and_names_the_source_that_turned_telemetry_off(deepchecks: Run, record: Record) -> None:
    assert record("run-check") == [True]
    done = deepchecks("preview", DO_NOT_TRACK="1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: Telemetry is off, decided by DO_NOT_TRACK. Unset DO_NOT_TRACK.\n")
    assert json.loads(deepchecks("status", "--json").stdout)["sealed"] == 0
