"""`enable` and `disable` print where counts are sent, also where a policy or a variable overrides the choice."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]
Sql = Callable[..., list[Any]]

ON = "Telemetry is on, for all environments of this user."
LIBRARY_ENDPOINT = "https://deepchecks.example/v1/logs"
linux = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere the environment cannot move the policy's directory"
)


@pytest.fixture
def policy() -> Callable[[str, str], None]:
    def write(name: str, text: str) -> None:
        folder = Path(os.environ["XDG_CONFIG_DIRS"], "deepchecks", "telemetry")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{text}\n")

    return write


def status(deepchecks: Run) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(deepchecks("status", "--json").stdout)
    return report


def test_enable_prints_the_endpoint_that_is_in_force(deepchecks: Run) -> None:
    done = deepchecks("enable", "--endpoint", "https://mine.example")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        ON,
        "Counts are sent to https://mine.example/v1/logs, at most once a day. Not now: nothing is pending.",
        "The endpoint is set by your choice.",
    ]
    assert deepchecks("disable").returncode == 0
    done = deepchecks("enable")
    assert done.returncode == 0
    assert "https://mine.example/v1/logs" in done.stdout


def test_disable_prints_the_sentence_that_status_prints(deepchecks: Run) -> None:
    sentence = "Nothing is sent: telemetry is off, decided by your choice."
    assert sentence in deepchecks("disable").stdout.splitlines()
    assert status(deepchecks)["sending"] == sentence


def test_enable_is_consent_to_the_endpoint_that_it_prints_and_to_no_later_one(
    deepchecks: Run, record: Record, sql: Sql
) -> None:
    assert record("run-check") == [True]
    sql("UPDATE spool SET endpoint = ?", LIBRARY_ENDPOINT)
    assert status(deepchecks)["blocked_by"] == "notice"
    assert LIBRARY_ENDPOINT in deepchecks("enable").stdout
    assert (status(deepchecks)["sends"], status(deepchecks)["endpoint"]) == (True, LIBRARY_ENDPOINT)
    sql("UPDATE spool SET endpoint = 'https://another.example'")
    assert (status(deepchecks)["sends"], status(deepchecks)["blocked_by"]) == (False, "notice")


def test_enable_without_an_endpoint_suppresses_no_later_notice(deepchecks: Run, record: Record, sql: Sql) -> None:
    done = deepchecks("enable")
    assert done.stdout.splitlines() == [
        ON,
        "Nothing is sent: no endpoint is set.",
        "Run: deepchecks telemetry enable --endpoint https://HOST",
    ]
    assert record("run-check") == [True]
    sql("UPDATE spool SET endpoint = ?", LIBRARY_ENDPOINT)
    assert (status(deepchecks)["sends"], status(deepchecks)["blocked_by"]) == (False, "notice")


@linux
@pytest.mark.parametrize("mode", ["off", "local", "maybe"])
def test_enable_fails_where_a_policy_forbids_it(mode: str, deepchecks: Run, policy: Callable[[str, str], None]) -> None:
    policy("mode", mode)
    done = deepchecks("enable", "--endpoint", "https://mine.example")
    assert done.returncode == 1
    assert done.stdout == "Your choice is on, for all environments of this user.\n"
    assert "mine.example" not in done.stdout + done.stderr
    in_force = "local" if mode == "local" else "off"
    reason = " ('maybe' is not a valid mode: expected on, local or off)" if mode == "maybe" else ""
    assert done.stderr.splitlines()[-1] == (
        f"Error: This has no effect: telemetry is {in_force}, decided by the administrator's policy"
        f"{reason}. Only your administrator can change it."
    )


@linux
@pytest.mark.parametrize(
    ("endpoint", "other"), [("https://theirs.example", "https://theirs.example/v1/logs"), ("x", "an invalid endpoint")]
)
def test_enable_with_an_endpoint_that_a_policy_overrides_fails_and_names_the_one_in_force(
    endpoint: str, other: str, deepchecks: Run, policy: Callable[[str, str], None]
) -> None:
    policy("endpoint", endpoint)
    done = deepchecks("enable", "--endpoint", "https://mine.example")
    assert done.returncode == 1
    assert "Counts are sent to https://mine.example" not in done.stdout
    assert done.stderr == (
        "Error: The endpoint https://mine.example/v1/logs was saved but is not used, because "
        f"the administrator's policy sets {other}. Only your administrator can change it.\n"
    )
    assert status(deepchecks)["endpoint"] == (other if "://" in other else None)
    assert deepchecks("enable").returncode == 0  # on is in force, and the policy's endpoint is printed


def test_a_variable_overrides_in_this_shell_only_so_enable_does_not_fail(deepchecks: Run) -> None:
    variables = {"DEEPCHECKS_TELEMETRY_ENDPOINT": "https://theirs.example"}
    done = deepchecks("enable", "--endpoint", "https://mine.example", **variables)
    assert done.returncode == 0
    assert "Counts are sent to https://theirs.example/v1/logs" in done.stdout
    assert done.stderr == (
        "The endpoint https://mine.example/v1/logs was saved but is not used, because "
        "DEEPCHECKS_TELEMETRY_ENDPOINT sets https://theirs.example/v1/logs. "
        "Correct or unset DEEPCHECKS_TELEMETRY_ENDPOINT.\n"
    )
    assert status(deepchecks)["endpoint"] == "https://mine.example/v1/logs"
