"""`enable`, `local`, `disable`: the choice holds for everybody of this user, and off leaves nothing behind."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from deepchecks_telemetry.spool.catalogue import EVENTS

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]
Sql = Callable[..., list[Any]]
Files = Callable[[], dict[str, bytes]]

NAMES = [event.name for event in EVENTS]


def installation(deepchecks: Run) -> Any:
    return json.loads(deepchecks("status", "--json").stdout)["installation_id"]


def test_disable_leaves_no_byte_of_an_event_and_enable_starts_anew(
    program: Run, record: Record, sql: Sql, files: Files
) -> None:
    assert record(*NAMES) == [True] * len(NAMES)
    body = program("preview").stdout
    assert record(*NAMES) == [True] * len(NAMES)
    before = installation(program)
    uids = [uid for (uid,) in sql("SELECT uid FROM rows")]
    (digest,) = [digest for (digest,) in sql("SELECT sha256 FROM batches")]
    secrets = [name.encode() for name in (*NAMES, before, *uids, digest)]
    assert len(uids) == len(NAMES)
    assert [secret for secret in (before, *uids) if secret not in body] == []
    assert [secret for secret in secrets if any(secret in content for content in files().values())] != []

    done = program("disable")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Removed: 14 events, 14 rows, 1 batch, 1 identifier and 0 files.\n" in done.stdout
    assert done.stdout.endswith(": no recorded data is left.\n")
    left = files()
    assert {path for path, content in left.items() if any(secret in content for secret in secrets)} == set()
    assert record("run-check") == [False]
    assert installation(program) is None

    assert program("enable").stdout == (
        "Telemetry is on, for all environments of this user.\nNothing is sent: no endpoint is set.\n"
        "Run: deepchecks telemetry enable --endpoint https://HOST\n"
    )
    assert record("run-check") == [True]
    assert json.loads(program("status", "--json").stdout)["recorded"] == 1
    assert installation(program) not in (None, before)


def test_disable_says_what_was_sent_already_and_where_to(deepchecks: Run, record: Record, receiver: Any) -> None:
    assert record("run-check", "run-suite") == [True, True]
    deepchecks("enable", "--endpoint", receiver.url)
    assert deepchecks("flush").returncode == 0
    assert record("run-check") == [True]
    done = deepchecks("disable", "--json")
    facts = json.loads(done.stdout)
    assert facts["removed"] == {"events": 1, "rows": 1, "batches": 0, "identifiers": 1, "files": 0}
    assert (facts["already_delivered"], facts["delivered_to"]) == (2, [f"{receiver.url}/v1/logs"])
    assert facts["scanned"] > 0
    assert facts["residue"] == []
    assert set(facts) == {
        *("off", "wiped", "removed", "removed_files", "left", "kept_settings", "sending"),
        *("already_delivered", "delivered_to", "carried_away", "scanned", "residue"),
    }


def test_disable_is_done_also_where_there_is_nothing(deepchecks: Run, record: Record, home: Path) -> None:
    for _ in range(2):
        done = deepchecks("disable")
        assert (done.returncode, done.stderr) == (0, "")
        assert "Removed: 0 events, 0 rows, 0 batches, 0 identifiers and 0 files.\n" in done.stdout
    assert record("run-check") == [False]
    assert not (home / "state" / "spool.db").exists()


def test_disable_throws_away_a_spool_that_is_no_database(
    deepchecks: Run, record: Record, home: Path, files: Files
) -> None:
    (home / "state").mkdir(parents=True, mode=0o700)
    (home / "state" / "spool.db").write_bytes(b"run-check, as text\n" * 100)
    assert deepchecks("disable").returncode == 0
    assert [path for path, content in files().items() if b"run-check" in content] == []
    assert deepchecks("enable").returncode == 0
    assert record("run-check") == [True]


def test_a_trace_that_is_left_is_told_and_is_no_success(deepchecks: Run, record: Record, home: Path) -> None:
    assert record("run-check") == [True]
    (home / "state" / "kept by somebody").write_text("run-check")
    done = deepchecks("disable")
    assert done.returncode == 1
    assert done.stdout.endswith(": recorded data was found.\n")
    assert done.stderr == (
        f"Error: Recorded data is left in {home / 'state' / 'kept by somebody'}. "
        "Close the programs that have it open, then run disable again.\n"
    )


@pytest.mark.parametrize("variables", [{"DEEPCHECKS_TELEMETRY": "off"}, {"DO_NOT_TRACK": "1"}])
def test_a_process_that_is_told_to_be_off_makes_no_file_at_all(
    variables: dict[str, str], record: Record, files: Files
) -> None:
    assert record(*NAMES, **variables) == [False] * len(NAMES)
    assert files() == {}


def test_local_records_and_never_sends(deepchecks: Run, record: Record, receiver: Any) -> None:
    deepchecks("enable", "--endpoint", receiver.url)
    assert deepchecks("local").stdout == "Telemetry is local, for all environments of this user.\n"
    assert record("run-check") == [True]
    done = deepchecks("flush")
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == "Error: Nothing was sent: telemetry is local, decided by your choice. Run: deepchecks telemetry enable\n"
    )
    assert "run-check" in deepchecks("preview").stdout
    assert receiver.bodies == []


def test_a_choice_that_another_source_overrules_is_kept_and_said(deepchecks: Run) -> None:
    done = deepchecks("enable", DO_NOT_TRACK="1")
    assert done.returncode == 0
    assert done.stdout.startswith("Your choice is on, for all environments of this user.\n")
    assert done.stderr == "But telemetry is off here, decided by DO_NOT_TRACK.\n"
    assert json.loads(deepchecks("status", "--json").stdout)["decided_by"] == "your choice"


@pytest.mark.parametrize(
    "endpoint", ["collector", "ftp://127.0.0.1", "http://8.8.8.8", "https://u:p@127.0.0.1", "http://["]
)
def test_an_endpoint_that_is_none_is_a_usage_error_and_nothing_is_kept_of_it(
    endpoint: str, deepchecks: Run, files: Files
) -> None:
    done = deepchecks("enable", "--endpoint", endpoint)
    assert (done.returncode, done.stdout) == (2, "")
    assert "\nError: Invalid endpoint: " in done.stderr
    assert files() == {}


def test_an_endpoint_is_kept_with_its_header_for_this_user_alone(deepchecks: Run, home: Path) -> None:
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


def in_place_of_the_folder(home: Path) -> None:
    home.write_text("a file")


def owned_by_another(home: Path) -> None:
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    (home / "state").mkdir(parents=True, mode=0o700)
    (home / "state" / "spool.db").write_bytes(b"")
    os.chown(home / "state", 12345, 12345)


@pytest.mark.parametrize("command", ["status", "inspect", "sent", "preview", "flush", "enable", "local", "disable"])
@pytest.mark.parametrize("spoil", [in_place_of_the_folder, owned_by_another])
def test_a_home_that_cannot_be_used_is_one_line_with_what_to_do(
    spoil: Callable[[Path], None], command: str, deepchecks: Run, home: Path, record: Record
) -> None:
    spoil(home)
    assert record("run-check") == [False]
    done = deepchecks(command, DEEPCHECKS_TELEMETRY_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert done.stderr.endswith(
        ". Check its owner and permissions, or set DEEPCHECKS_TELEMETRY_DIR to another directory.\n"
    )
    assert done.stderr.count("\n") == 1
    assert command == "status" or done.stdout == ""
