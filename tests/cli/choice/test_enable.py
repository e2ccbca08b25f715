"""`enable`: the choice and the endpoint are saved for this user, and the source in force is printed."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Run = Callable[..., CompletedProcess[str]]
Files = Callable[[], dict[str, bytes]]


def test_a_choice_that_another_source_overrides_is_saved_and_reported(deepchecks: Run) -> None:
    done = deepchecks("enable", DO_NOT_TRACK="1")
    assert done.returncode == 0
    assert done.stdout.startswith("Your choice is on, for all environments of this user.\n")
    assert done.stderr == "But telemetry is off here, decided by DO_NOT_TRACK.\n"
    assert json.loads(deepchecks("status", "--json").stdout)["decided_by"] == "your choice"


@pytest.mark.parametrize(
    "endpoint", ["collector", "ftp://127.0.0.1", "http://8.8.8.8", "https://u:p@127.0.0.1", "http://["]
)
def test_an_invalid_endpoint_is_a_usage_error_and_is_not_saved(endpoint: str, deepchecks: Run, files: Files) -> None:
    done = deepchecks("enable", "--endpoint", endpoint)
    assert (done.returncode, done.stdout) == (2, "")
    assert "\nError: Invalid endpoint: " in done.stderr
    assert files() == {}


def test_an_endpoint_is_saved_with_its_header_for_this_user_only(deepchecks: Run, home: Path) -> None:
    done = deepchecks("enable", "--endpoint", "http://8.8.8.8", "--allow-http", "--header", "X-Token=abc=d")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:] == [
        "Counts are sent to http://8.8.8.8/v1/logs, at most once a day. Not now: nothing is pending.",
        "The endpoint is set by your choice.",
    ]
    assert "X-Token: abc=d" in (home / "config" / "endpoint").read_text()
    if os.name == "posix":
        assert {path.stat().st_mode & 0o777 for path in (home / "config").iterdir()} == {0o600}
    assert "abc=d" not in deepchecks("status").stdout + deepchecks("status", "--json").stdout


def test_enable_prints_the_endpoint_in_force_and_its_source(deepchecks: Run) -> None:
    variables = {"DEEPCHECKS_TELEMETRY_ENDPOINT": "https://collector.example.org"}
    done = deepchecks("enable", "--endpoint", "https://mine.example.org", **variables)
    assert "Counts are sent to https://collector.example.org/v1/logs, at most once a day." in done.stdout
    assert done.stdout.endswith("The endpoint is set by DEEPCHECKS_TELEMETRY_ENDPOINT.\n")
