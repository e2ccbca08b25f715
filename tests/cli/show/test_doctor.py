"""`doctor`: one line for each check, with a remedy; the exit code is 1 only if there is a problem."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from tests.conftest import MACHINE

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]
Sql = Callable[..., list[Any]]
Files = Callable[[], dict[str, bytes]]
posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")


def findings(done: CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    output: list[dict[str, Any]] = json.loads(done.stdout)
    assert all(set(finding) == {"name", "level", "text", "remedy"} for finding in output)
    return {finding["name"]: finding for finding in output}


def test_without_a_spool_there_is_no_problem_and_nothing_is_created(program: Run, files: Files) -> None:
    done = program("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert "WRONG" not in done.stdout
    assert "ok     spool: none yet; the first event creates it.\n" in done.stdout
    assert files() == {}


def test_doctor_prints_a_line_for_each_check(deepchecks: Run, record: Record) -> None:
    assert record("run-check", "run-suite") == [True, True]
    done = deepchecks("doctor")
    assert done.returncode == 0
    assert "ok     conservation: all 2 recorded events are accounted for.\n" in done.stdout
    assert all(line[:5].strip() in {"ok", "note"} for line in done.stdout.splitlines())
    by_name = findings(deepchecks("doctor", "--json"))
    expected = {"directory", "lock", "file system", "integrity", "conservation", "version", "wal"}
    assert expected | (set() if os.name == "nt" else {"permissions"}) <= set(by_name)


def test_a_wal_left_by_a_killed_process_is_not_a_problem(deepchecks: Run, record: Record, home: Path) -> None:
    assert record("run-check") == [True]  # a host does not delete its WAL, and neither does a killed process
    assert (home / "state" / "spool.db-wal").stat().st_size
    done = deepchecks("doctor", "--json")
    assert done.returncode == 0
    assert findings(done)["wal"]["level"] == "ok"


def test_dropped_events_are_reported_with_their_number(deepchecks: Run, record: Record, sql: Sql) -> None:
    assert record("run-check") == [True]
    sql("INSERT INTO tallies VALUES ('recovered', 5), ('dropped:damage', 5)")
    done = deepchecks("doctor", "--json")
    assert done.returncode == 0
    by_name = findings(done)
    assert (by_name["dropped"]["level"], by_name["dropped"]["text"]) == (
        "warning",
        "5 damage (could not be read from a damaged spool)",
    )
    assert by_name["conservation"]["level"] == "ok"


def test_counts_that_do_not_add_up_are_a_problem(deepchecks: Run, record: Record, sql: Sql) -> None:
    assert record("run-check") == [True]
    sql("INSERT INTO tallies VALUES ('delivered', 3)")
    done = deepchecks("doctor")
    assert (done.returncode, done.stderr) == (1, "")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("WRONG")]
    assert line.startswith("WRONG  conservation: 1 recorded, but 3 more are stored. To do: ")


@posix
def test_permissions_that_are_too_wide_are_a_problem_and_the_remedy_works(
    deepchecks: Run, record: Record, home: Path
) -> None:
    assert record("run-check") == [True]
    (home / "state" / "spool.db").chmod(0o644)
    by_name = findings(deepchecks("doctor", "--json"))
    assert by_name["permissions"]["level"] == "wrong"
    assert os.system(by_name["permissions"]["remedy"]) == 0
    assert deepchecks("doctor").returncode == 0


def test_a_file_that_is_not_a_spool_is_a_problem_and_the_remedy_works(
    deepchecks: Run, record: Record, home: Path
) -> None:
    assert record("run-check") == [True]
    (home / "state" / "spool.db-wal").unlink()
    (home / "state" / "spool.db").write_text("Dear diary")
    done = deepchecks("doctor", "--json")
    assert (done.returncode, findings(done)["integrity"]["level"]) == (1, "wrong")
    assert deepchecks("inspect").returncode == 0
    after = deepchecks("doctor", "--json")
    assert after.returncode == 0
    assert findings(after)["unreadable file"]["level"] == "warning"


def test_a_spool_of_a_newer_version_is_a_problem_and_is_kept(deepchecks: Run, record: Record, sql: Sql) -> None:
    assert record("run-check") == [True]
    sql("PRAGMA user_version = 9000")
    done = deepchecks("doctor", "--json")
    assert done.returncode == 1
    assert "pip install --upgrade" in findings(done)["version"]["remedy"]
    assert sql("SELECT count(*) FROM events") == [(1,)]


def test_an_invalid_endpoint_is_a_problem(deepchecks: Run) -> None:
    done = deepchecks("doctor", "--json", DEEPCHECKS_TELEMETRY_ENDPOINT="collector.example.org")
    assert done.returncode == 1
    finding = findings(done)["endpoint"]
    assert (finding["level"], finding["remedy"]) == ("wrong", "correct or unset DEEPCHECKS_TELEMETRY_ENDPOINT")
    valid = findings(deepchecks("doctor", "--json", DEEPCHECKS_TELEMETRY_ENDPOINT="https://collector.example.org"))
    assert valid["endpoint"]["text"] == "set by DEEPCHECKS_TELEMETRY_ENDPOINT"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can change an owner")
def test_a_directory_of_another_user_is_a_problem(deepchecks: Run, record: Record, home: Path) -> None:
    assert record("run-check") == [True]
    os.chown(home / "state", 65_534, 65_534)
    done = deepchecks("doctor", "--json")
    assert done.returncode == 1
    assert findings(done)["directory"]["text"] == f"the state directory {home / 'state'} belongs to another user"


def test_leftover_files_are_a_note(deepchecks: Run, record: Record, home: Path) -> None:
    assert record("run-check") == [True]
    (home / "state" / "spool.db.new").touch(mode=0o600)
    done = deepchecks("doctor", "--json")
    assert (done.returncode, findings(done)["leftover files"]["level"]) == (0, "warning")


def test_doctor_works_in_every_mode(deepchecks: Run) -> None:
    assert deepchecks("doctor", DEEPCHECKS_TELEMETRY="off").returncode == 0
    assert deepchecks("doctor", DO_NOT_TRACK="1").returncode == 0


def test_the_identifier_of_deepchecks_own_telemetry_is_named_and_removed(program: Run, tmp_path: Path) -> None:
    identifier = tmp_path / "site" / "deepchecks" / ".user_id"
    identifier.parent.mkdir(parents=True)
    (identifier.parent / "__init__.py").touch()
    identifier.write_text("a-uuid")
    environ = {"PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{MACHINE}"}
    assert json.loads(program("status", "--json", **environ).stdout)["old_identifier"] == str(identifier)
    assert f"{identifier} (see deepchecks telemetry doctor)" in program("status", **environ).stdout
    assert "doctor --remove-identifier" in program("doctor", **environ).stdout

    done = program("doctor", "--remove-identifier", **environ)
    assert (done.returncode, done.stderr) == (0, f"Removed {identifier}.\n")
    assert "old identifier" not in done.stdout
    assert not identifier.exists()
    assert (
        program("doctor", "--remove-identifier", **environ).stderr
        == "There is no identifier of deepchecks' own telemetry.\n"
    )


def test_doctor_reports_an_endpoint_that_a_library_sets(deepchecks: Run, record: Record, sql: Sql, home: Path) -> None:
    assert record("run-check") == [True]
    sql("UPDATE spool SET endpoint = 'https://deepchecks.example'")
    by_name = findings(deepchecks("doctor", "--json"))
    assert by_name["endpoint"]["text"] == "set by deepchecks itself"
    assert (by_name["upload"]["level"], "its notice has not been shown yet" in by_name["upload"]["text"]) == (
        "warning",
        True,
    )
    (home / "config").mkdir()
    (home / "config" / "notice").write_text("https://deepchecks.example/v1/logs\n")
    upload = findings(deepchecks("doctor", "--json"))["upload"]
    assert (upload["level"], upload["remedy"]) == ("ok", None)
    assert upload["text"] == "Counts are sent to https://deepchecks.example/v1/logs, at most once a day"


def test_parked_batches_are_a_problem_with_cause_host_and_remedy(
    deepchecks: Run, record: Record, receiver: Any
) -> None:
    host = receiver.url.removeprefix("http://")
    deepchecks("enable", "--endpoint", receiver.url)
    receiver.status = 413
    for _ in range(5):
        assert record("run-check") == [True]
        assert deepchecks("flush").returncode == 1
    done = deepchecks("doctor", "--json")
    parked = findings(done)["parked"]
    assert (done.returncode, parked["level"]) == (1, "wrong")
    assert parked["text"] == (
        f"5 events in 5 batches; {host}: HTTP 413: the request is larger than the receiver accepts"
    )
    assert parked["remedy"].startswith("ask the operator of the receiver to accept requests of 1 MB")


@pytest.mark.parametrize(
    ("status", "cause"),
    [(429, "too many requests"), (302, "redirects are not followed"), (503, "the receiver is not available")],
)
def test_a_failed_upload_is_a_note_with_cause_and_remedy(
    status: int, cause: str, deepchecks: Run, record: Record, receiver: Any
) -> None:
    deepchecks("enable", "--endpoint", receiver.url)
    receiver.status = status
    assert record("run-check") == [True]
    assert deepchecks("flush").returncode == 1
    done = deepchecks("doctor", "--json")
    failed = findings(done)["last upload"]
    assert (done.returncode, failed["level"]) == (0, "warning")
    text = f"{receiver.url.removeprefix('http://')}: HTTP {status}: {cause}"
    retried = f"{text}; it is retried automatically"
    assert (failed["text"], bool(failed["remedy"])) == ((text, True) if status == 302 else (retried, False))


@pytest.mark.parametrize("value", ["true", "1", "yes"])
def test_an_unknown_value_of_a_variable_is_a_problem(value: str, deepchecks: Run) -> None:
    done = deepchecks("doctor", "--json", DEEPCHECKS_TELEMETRY=value)
    assert (done.returncode, findings(done)["DEEPCHECKS_TELEMETRY"]["remedy"]) == (
        *(1, "set DEEPCHECKS_TELEMETRY to on, local or off, or unset it"),
    )
    assert f"'{value}' is not a valid mode" in findings(done)["DEEPCHECKS_TELEMETRY"]["text"]
