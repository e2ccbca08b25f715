"""Two tasks of users take one command each: see whether and what is sent; turn it off everywhere and prove it."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]

MAX_S = 30.0 if os.name == "nt" else 5.0  # some 0.2 s on an idle machine, a second and more under Wine


def test_preview_shows_whether_and_what_is_sent(program: Run, record: Record) -> None:
    assert record("run-check") == [True]
    started = time.monotonic()
    done = program("preview")
    assert time.monotonic() - started < MAX_S
    (logs,) = json.loads(done.stdout)["resourceLogs"]
    assert logs["scopeLogs"][0]["logRecords"][0]["eventName"] == "deepchecks.run-check"
    assert done.stderr.splitlines()[-1] == "Nothing is sent: no endpoint is set."


def test_view_shows_whether_and_what_is_sent(program: Run, record: Record, tmp_path: Path) -> None:
    assert record("run-check") == [True]
    started = time.monotonic()
    assert program("view", "--output", "all.html").returncode == 0
    assert time.monotonic() - started < MAX_S
    page = (tmp_path / "all.html").read_text("utf-8")
    assert "Nothing is sent: no endpoint is set." in page
    assert "{&quot;resourceLogs&quot;:" in page


def test_disable_turns_telemetry_off_everywhere_and_proves_it(program: Run, record: Record, tmp_path: Path) -> None:
    assert record("run-check") == [True]
    program("preview")
    started = time.monotonic()
    done = program("disable")
    assert time.monotonic() - started < MAX_S
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Telemetry is off, for all environments of this user.\n")
    assert done.stdout.endswith(": no recorded data is left.\n")
    assert record("run-check") == [False]
    assert [path for path in tmp_path.rglob("*") if path.is_file() and b"run-check" in path.read_bytes()] == []
