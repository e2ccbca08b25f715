"""`status`: its JSON and its text, that reading commands change nothing, and how problems are reported."""

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
Files = Callable[[], dict[str, bytes]]

COUNTS = {"recorded", "pending", "sealed", "parked", "delivered", "exported", "rejected", "dropped", "rows", "batches"}
COUNTS |= {"parked_batches"}
KEYS = COUNTS | {
    *("mode", "decided_by", "attached", "endpoint", "endpoint_from", "dropped_by_reason", "installation_id", "spool"),
    *("last_upload", "next_upload", "problem", "sends", "sending", "blocked_by", "reason", "remedy", "old_identifier"),
    *("not_understood", "retry_after"),
}


def test_without_a_spool_all_counts_are_zero(program: Run, home: Path) -> None:
    done = program("status", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert set(report) == KEYS
    assert {report[name] for name in COUNTS} == {0}
    assert (report["mode"], report["decided_by"]) == ("on", "the default")
    assert (report["endpoint"], report["installation_id"], report["last_upload"], report["problem"]) == (None,) * 4
    assert (report["attached"], report["old_identifier"]) == (False, None)
    assert report["spool"] == str(home / "state" / "spool.db")


@pytest.mark.parametrize("arguments", ["status", "status --json", "inspect", "inspect --json", "sent", "catalogue"])
def test_reading_commands_create_no_file(arguments: str, deepchecks: Run, files: Files) -> None:
    assert deepchecks(*arguments.split()).returncode == 0
    assert files() == {}


@pytest.mark.parametrize("arguments", ["status", "inspect", "sent"])
def test_reading_commands_change_no_file(arguments: str, deepchecks: Run, record: Record, files: Files) -> None:
    assert record("run-check", "run-suite") == [True, True]
    deepchecks("status")  # the last process to close the spool may checkpoint the WAL
    before = files()
    assert deepchecks(arguments).returncode == 0
    assert files() == before


def test_the_counts_follow_an_event_to_the_receiver(deepchecks: Run, record: Record, receiver: Any) -> None:
    assert record("run-check", "run-check", "run-suite") == [True] * 3
    pending = json.loads(deepchecks("status", "--json").stdout)
    assert [pending[name] for name in ("recorded", "pending", "sealed", "rows", "batches")] == [3, 3, 0, 2, 0]
    assert len(pending["installation_id"]) == 36
    deepchecks("preview")
    sealed = json.loads(deepchecks("status", "--json").stdout)
    assert [sealed[name] for name in ("recorded", "pending", "sealed", "rows", "batches")] == [3, 0, 3, 2, 1]
    deepchecks("enable", "--endpoint", receiver.url)
    assert deepchecks("flush").returncode == 0
    sent = json.loads(deepchecks("status", "--json").stdout)
    assert [sent[name] for name in ("recorded", "sealed", "delivered", "rows", "batches")] == [3, 0, 3, 0, 0]
    assert (sent["endpoint"], sent["endpoint_from"]) == (f"{receiver.url}/v1/logs", "your choice")
    assert (sent["last_upload"]["outcome"], sent["last_upload"]["endpoint"]) == ("delivered", sent["endpoint"])
    assert sent["next_upload"] > sent["last_upload"]["at"]
    output = deepchecks("status").stdout
    assert "Telemetry is on: decided by your choice.\n" in output
    assert "  recorded      3 events\n" in output
    assert f"  endpoint      {receiver.url}/v1/logs (set by your choice)\n" in output


@pytest.mark.parametrize(
    ("variables", "mode", "remedy"),
    [
        ({"DEEPCHECKS_TELEMETRY": "off"}, "off", "unset DEEPCHECKS_TELEMETRY"),
        ({"DEEPCHECKS_TELEMETRY": "local"}, "local", "unset DEEPCHECKS_TELEMETRY"),
        ({"DO_NOT_TRACK": "1"}, "off", "unset DO_NOT_TRACK"),
        ({"DISABLE_LATEST_VERSION_CHECK": "0"}, "off", "unset DISABLE_LATEST_VERSION_CHECK"),
    ],
)
def test_status_names_the_source_that_decided_and_the_remedy(
    variables: dict[str, str], mode: str, remedy: str, deepchecks: Run
) -> None:
    (name,) = variables
    output = deepchecks("status", **variables).stdout
    assert output.startswith(f"Telemetry is {mode}: decided by {name}.\n")
    assert output.splitlines()[-2].split(":  ")[-1].strip() == remedy
    assert json.loads(deepchecks("status", "--json", **variables).stdout)["decided_by"] == name


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no variable changes the policy's directory")
def test_on_and_off_are_other_names_of_enable_and_disable(deepchecks: Run) -> None:
    modes = []
    for command in ("off", "on", "local"):
        assert deepchecks(command).returncode == 0
        modes.append(deepchecks("status", "--short").stdout)
    assert modes == ["off\n", "on\n", "local\n"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no variable changes the policy's directory")
def test_status_names_the_policy_and_does_not_suggest_enable(deepchecks: Run, tmp_path: Path) -> None:
    policy = Path(os.environ["XDG_CONFIG_DIRS"], "deepchecks", "telemetry", "mode")
    policy.parent.mkdir(parents=True)
    policy.write_text("off\n")
    output = deepchecks("status").stdout
    assert output.startswith("Telemetry is off: decided by the administrator's policy.\n")
    assert "only your administrator can change it\nDocumentation:" in output


def test_an_unreadable_spool_is_reported_with_a_remedy_and_without_counts(deepchecks: Run, home: Path) -> None:
    home.mkdir(parents=True)
    (home / "state").mkdir(mode=0o700)
    (home / "state" / "spool.db").mkdir()
    done = deepchecks("status", "--json")
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"Error: {home / 'state' / 'spool.db'} is a link, is not a regular file, or belongs to another user. Check "
    )
    assert done.stderr.count("\n") == 1
    report = json.loads(done.stdout)
    assert set(report) == KEYS
    assert {report[name] for name in COUNTS} == {None}
    assert f"Error: {report['problem']}\n" == done.stderr
    assert "  recorded      unknown\n" in deepchecks("status").stdout


def test_an_invalid_endpoint_is_reported_with_its_source(deepchecks: Run, record: Record) -> None:
    assert record("run-check") == [True]
    done = deepchecks("status", "--json", DEEPCHECKS_TELEMETRY_ENDPOINT="collector.example.org")
    assert done.returncode == 1
    assert (json.loads(done.stdout)["recorded"], json.loads(done.stdout)["endpoint"]) == (1, None)
    assert "(set by DEEPCHECKS_TELEMETRY_ENDPOINT). Correct or unset " in done.stderr
    assert done.stderr.count("\n") == 1


def test_explain_lists_the_value_of_every_source(deepchecks: Run, home: Path) -> None:
    assert deepchecks("enable", "--endpoint", "https://collector.example.org").returncode == 0
    variables = {"DO_NOT_TRACK": "1", "DEEPCHECKS_TELEMETRY_ENDPOINT": "ftp://nowhere"}
    sources = json.loads(deepchecks("status", "--explain", "--json", **variables).stdout)["sources"]
    answers = {(source["question"], source["source"]): source["answer"] for source in sources}
    assert answers == {
        ("mode", "the administrator's policy"): None,
        ("mode", "DEEPCHECKS_TELEMETRY"): None,
        ("mode", "DO_NOT_TRACK"): "off",
        ("mode", "DISABLE_DEEPCHECKS_ANONYMOUS_TELEMETRY"): None,
        ("mode", "DISABLE_LATEST_VERSION_CHECK"): None,
        ("mode", "your choice"): "on",
        ("mode", "an earlier disable"): None,
        ("endpoint", "the administrator's policy"): None,
        ("endpoint", "DEEPCHECKS_TELEMETRY_ENDPOINT"): "invalid endpoint: expected https://HOST, http://HOST or "
        "file:///DIR",
        ("endpoint", "your choice"): "https://collector.example.org/v1/logs",
        ("endpoint", "deepchecks itself"): None,
    }
    assert {source["where"] for source in sources} >= {str(home / "config" / "mode"), "the environment"}
    output = deepchecks("status", "--explain").stdout
    assert output.count("not set") == 9
    assert "https://collector.example.org/v1/logs" in output


LIBRARY_ENDPOINT = "https://deepchecks.example/v1/logs"


@pytest.mark.parametrize(
    ("choice", "shown", "blocked_by"),
    [
        (None, None, "notice"),
        (None, LIBRARY_ENDPOINT, None),
        (None, f"https://other.example/v1/logs\n{LIBRARY_ENDPOINT}", None),
        ("on", None, "notice"),
        ("on", "https://other.example/v1/logs", "notice"),
        ("on", LIBRARY_ENDPOINT, None),
        ("local", LIBRARY_ENDPOINT, "mode"),
        ("off", LIBRARY_ENDPOINT, "mode"),
    ],
)
def test_counts_are_sent_to_an_endpoint_of_deepchecks_once_its_notice_was_shown(
    choice: str | None, shown: str | None, blocked_by: str | None, deepchecks: Run, record: Record, sql: Sql,
    home: Path,
) -> None:  # fmt: skip
    assert record("run-check") == [True]
    sql("UPDATE spool SET endpoint = 'https://deepchecks.example'")
    (home / "config").mkdir()
    for file, text in (("mode", choice), ("notice", shown)):
        if text:
            (home / "config" / file).write_text(text + "\n")
    report = json.loads(deepchecks("status", "--json").stdout)
    assert (report["sends"], report["blocked_by"], report["endpoint_from"]) == (
        not blocked_by,
        blocked_by,
        "deepchecks itself",
    )
    sentences = {
        None: f"Counts are sent to {LIBRARY_ENDPOINT}, at most once a day.",
        "notice": f"Nothing is sent automatically to {LIBRARY_ENDPOINT}: the endpoint is set by deepchecks itself, "
        "and its notice has not been shown yet.",
        "mode": f"Nothing is sent: telemetry is {choice}, decided by your choice.",
    }
    assert deepchecks("status").stdout.splitlines()[1] == sentences[blocked_by]


def test_parked_batches_and_retry_after_are_shown_with_cause_host_and_remedy(
    deepchecks: Run, record: Record, receiver: Any, sql: Sql
) -> None:
    host = receiver.url.removeprefix("http://")
    deepchecks("enable", "--endpoint", receiver.url)
    receiver.status = 413
    for _ in range(5):
        assert record("run-check", "run-suite") == [True] * 2
        assert deepchecks("flush").returncode == 1
    receiver.status = 429
    assert record("run-check") == [True]
    sql("UPDATE batches SET tried_at = tried_at - 60")
    sql("INSERT INTO retry_after VALUES (?, unixepoch() + 3600)", host)
    report = json.loads(deepchecks("status", "--json").stdout)
    assert [report[name] for name in ("pending", "sealed", "parked", "parked_batches")] == [1, 0, 10, 5]
    assert (report["sends"], report["blocked_by"], report["retry_after"][-1]) == (True, "retry-after", "Z")
    assert report["last_upload"]["remedy"].startswith("ask the operator of the receiver to accept requests of 1 MB")
    lines = deepchecks("status").stdout.splitlines()
    assert lines[1] == (
        f"Counts are sent to {receiver.url}/v1/logs, at most once a day. Not now: {host} asked to wait until "
        f"{report['retry_after']} (Retry-After)."
    )
    assert "  parked        10 events in 5 batches" in lines
    (last,) = [line for line in lines if line.startswith("  last upload")]
    assert last.endswith(f"Z, {host}: HTTP 413: the request is larger than the receiver accepts")
    assert f"The last upload:      {report['last_upload']['remedy']}" in lines


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("true", "'true'"),
        ("ON!", "'ON!'"),
        ("\x1b[2Jon", r"'\x1b[2Jon'"),
        ("a" * 50, f"'{'a' * 20}'"),
    ],
)
def test_an_unknown_value_counts_as_off_and_is_reported(value: str, shown: str, deepchecks: Run) -> None:
    report = json.loads(deepchecks("status", "--json", DEEPCHECKS_TELEMETRY=value).stdout)
    assert (report["mode"], report["decided_by"]) == ("off", "DEEPCHECKS_TELEMETRY")
    problem = f"{shown} is not a valid mode: expected on, local or off"
    remedy = "set DEEPCHECKS_TELEMETRY to on, local or off, or unset it"
    assert report["not_understood"] == [
        {"source": "DEEPCHECKS_TELEMETRY", "where": "the environment", "problem": problem, "remedy": remedy}
    ]
    lines = deepchecks("status", DEEPCHECKS_TELEMETRY=value).stdout.splitlines()
    assert lines[1] == f"Nothing is sent: telemetry is off, decided by DEEPCHECKS_TELEMETRY ({problem})."
    assert lines[-2] == f"Turn on:              {remedy}"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no variable changes the policy's directory")
@pytest.mark.parametrize("file", ["policy", "choice"])
def test_an_unknown_value_in_a_file_is_reported_with_a_remedy(file: str, deepchecks: Run, home: Path) -> None:
    policy = Path(os.environ["XDG_CONFIG_DIRS"], "deepchecks", "telemetry")
    folder = policy if file == "policy" else home / "config"
    folder.mkdir(parents=True)
    (folder / "mode").write_text("maybe\n")
    (unknown,) = json.loads(deepchecks("status", "--json").stdout)["not_understood"]
    assert unknown["problem"] == "'maybe' is not a valid mode: expected on, local or off"
    assert unknown["remedy"] == (
        f"ask your administrator to write on, local or off to {policy}/mode, readable by all users"
        if file == "policy"
        else "run deepchecks telemetry enable, local or disable"
    )
    findings = json.loads(deepchecks("doctor", "--json").stdout)
    (finding,) = [finding for finding in findings if finding["name"] == file]
    assert (finding["level"], finding["remedy"].replace("~", os.environ["HOME"])) == ("wrong", unknown["remedy"])
    assert "'maybe' is not a valid mode" in finding["text"]
    assert deepchecks("doctor").returncode == 1
