"""`doctor`: a line for each thing that was looked at, the remedy, and exit 1 only when something is wrong."""

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
    told: list[dict[str, Any]] = json.loads(done.stdout)
    assert all(set(finding) == {"name", "level", "text", "remedy"} for finding in told)
    return {finding["name"]: finding for finding in told}


def test_on_a_new_machine_nothing_is_wrong_and_nothing_is_made(program: Run, files: Files) -> None:
    done = program("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert "WRONG" not in done.stdout
    assert "ok     spool: none yet; the first event creates it.\n" in done.stdout
    assert files() == {}


def test_a_sound_spool_is_told_line_by_line(deepchecks: Run, record: Record) -> None:
    assert record("run-check", "run-suite") == [True, True]
    done = deepchecks("doctor")
    assert done.returncode == 0
    assert "ok     conservation: all 2 recorded events are accounted for.\n" in done.stdout
    assert all(line[:5].strip() in {"ok", "note"} for line in done.stdout.splitlines())
    told = findings(deepchecks("doctor", "--json"))
    assert {"directory", "permissions", "lock", "file system", "integrity", "conservation", "version", "wal"} <= set(
        told
    )


def test_a_wal_that_a_kill_has_left_does_not_change_the_exit(deepchecks: Run, record: Record, home: Path) -> None:
    assert record("run-check") == [True]  # a host leaves its WAL behind, as a killed one does
    assert (home / "state" / "spool.db-wal").stat().st_size
    done = deepchecks("doctor", "--json")
    assert done.returncode == 0
    assert findings(done)["wal"]["level"] == "ok"


def test_a_loss_is_told_with_its_number(deepchecks: Run, record: Record, sql: Sql) -> None:
    assert record("run-check") == [True]
    sql("INSERT INTO tallies VALUES ('recovered', 5), ('dropped:damage', 5)")
    done = deepchecks("doctor", "--json")
    assert done.returncode == 0
    told = findings(done)
    assert (told["dropped"]["level"], told["dropped"]["text"]) == (
        "warning",
        "5 damage (could not be read from a damaged spool)",
    )
    assert told["conservation"]["level"] == "ok"


def test_books_that_do_not_balance_are_wrong(deepchecks: Run, record: Record, sql: Sql) -> None:
    assert record("run-check") == [True]
    sql("INSERT INTO tallies VALUES ('delivered', 3)")
    done = deepchecks("doctor")
    assert (done.returncode, done.stderr) == (1, "")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("WRONG")]
    assert line.startswith("WRONG  conservation: 1 recorded, but 3 more are stored. To do: ")


@posix
def test_permissions_that_are_too_wide_are_wrong_and_the_remedy_works(
    deepchecks: Run, record: Record, home: Path
) -> None:
    assert record("run-check") == [True]
    (home / "state" / "spool.db").chmod(0o644)
    told = findings(deepchecks("doctor", "--json"))
    assert told["permissions"]["level"] == "wrong"
    assert os.system(told["permissions"]["remedy"]) == 0
    assert deepchecks("doctor").returncode == 0


def test_a_file_that_is_no_spool_is_told_and_the_remedy_works(deepchecks: Run, record: Record, home: Path) -> None:
    assert record("run-check") == [True]
    (home / "state" / "spool.db-wal").unlink()
    (home / "state" / "spool.db").write_text("Dear diary")
    done = deepchecks("doctor", "--json")
    assert (done.returncode, findings(done)["integrity"]["level"]) == (1, "wrong")
    assert deepchecks("inspect").returncode == 0
    after = deepchecks("doctor", "--json")
    assert after.returncode == 0
    assert findings(after)["unreadable file"]["level"] == "warning"


def test_a_spool_of_a_newer_version_is_wrong_and_stays(deepchecks: Run, record: Record, sql: Sql) -> None:
    assert record("run-check") == [True]
    sql("PRAGMA user_version = 9000")
    done = deepchecks("doctor", "--json")
    assert done.returncode == 1
    assert "pip install --upgrade" in findings(done)["version"]["remedy"]
    assert sql("SELECT count(*) FROM events") == [(1,)]


def test_an_endpoint_that_is_no_url_is_wrong(deepchecks: Run) -> None:
    done = deepchecks("doctor", "--json", DEEPCHECKS_TELEMETRY_ENDPOINT="collector.example.org")
    assert done.returncode == 1
    told = findings(done)["endpoint"]
    assert (told["level"], told["remedy"]) == ("wrong", "correct or unset DEEPCHECKS_TELEMETRY_ENDPOINT")
    named = findings(deepchecks("doctor", "--json", DEEPCHECKS_TELEMETRY_ENDPOINT="https://collector.example.org"))
    assert named["endpoint"]["text"] == "set by DEEPCHECKS_TELEMETRY_ENDPOINT"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_that_belongs_to_another_user_is_wrong(deepchecks: Run, record: Record, home: Path) -> None:
    assert record("run-check") == [True]
    os.chown(home / "state", 65_534, 65_534)
    done = deepchecks("doctor", "--json")
    assert done.returncode == 1
    assert findings(done)["directory"]["text"] == f"the state directory {home / 'state'} belongs to another user"


def test_left_over_files_are_a_note(deepchecks: Run, record: Record, home: Path) -> None:
    assert record("run-check") == [True]
    (home / "state" / "spool.db.new").touch(mode=0o600)
    done = deepchecks("doctor", "--json")
    assert (done.returncode, findings(done)["leftover files"]["level"]) == (0, "warning")


def test_doctor_answers_in_every_mode(deepchecks: Run) -> None:
    assert deepchecks("doctor", DEEPCHECKS_TELEMETRY="off").returncode == 0
    assert deepchecks("doctor", DO_NOT_TRACK="1").returncode == 0


def test_the_identifier_that_deepchecks_own_call_left_is_named_and_removed(program: Run, tmp_path: Path) -> None:
    left = tmp_path / "site" / "deepchecks" / ".user_id"
    left.parent.mkdir(parents=True)
    (left.parent / "__init__.py").touch()
    left.write_text("a-uuid")
    environ = {"PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{MACHINE}"}
    assert json.loads(program("status", "--json", **environ).stdout)["old_identifier"] == str(left)
    assert f"{left} (see deepchecks telemetry doctor)" in program("status", **environ).stdout
    assert "doctor --remove-identifier" in program("doctor", **environ).stdout

    done = program("doctor", "--remove-identifier", **environ)
    assert (done.returncode, done.stderr) == (0, f"Removed {left}.\n")
    assert "old identifier" not in done.stdout
    assert not left.exists()
    assert (
        program("doctor", "--remove-identifier", **environ).stderr
        == "There is no identifier of deepchecks' own telemetry.\n"
    )


def test_the_endpoint_that_a_library_sets_is_known_here_as_it_is_to_status(
    deepchecks: Run, record: Record, sql: Sql, home: Path
) -> None:
    assert record("run-check") == [True]
    sql("UPDATE spool SET endpoint = 'https://deepchecks.example'")
    told = findings(deepchecks("doctor", "--json"))
    assert told["endpoint"]["text"] == "set by deepchecks itself"
    assert (told["upload"]["level"], "its notice has not been shown yet" in told["upload"]["text"]) == ("warning", True)
    (home / "config").mkdir()
    (home / "config" / "notice").write_text("https://deepchecks.example/v1/logs\n")
    sent = findings(deepchecks("doctor", "--json"))["upload"]
    assert (sent["level"], sent["remedy"]) == ("ok", None)
    assert sent["text"] == "Counts are sent to https://deepchecks.example/v1/logs, at most once a day"


def test_batches_that_were_refused_are_wrong_with_cause_host_and_remedy(
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
def test_a_try_that_failed_is_a_note_with_its_cause_and_remedy(
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
    again = f"{text}; it is retried automatically"
    assert (failed["text"], bool(failed["remedy"])) == ((text, True) if status == 302 else (again, False))


@pytest.mark.parametrize("value", ["true", "1", "yes"])
def test_a_variable_that_is_not_understood_is_wrong(value: str, deepchecks: Run) -> None:
    done = deepchecks("doctor", "--json", DEEPCHECKS_TELEMETRY=value)
    assert (done.returncode, findings(done)["DEEPCHECKS_TELEMETRY"]["remedy"]) == (
        *(1, "set DEEPCHECKS_TELEMETRY to on, local or off, or unset it"),
    )
    assert f"'{value}' is not a valid mode" in findings(done)["DEEPCHECKS_TELEMETRY"]["text"]
