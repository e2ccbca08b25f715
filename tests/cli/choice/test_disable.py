"""`disable`: no byte of recorded data is left in a file of ours, and what is kept or left is named."""

import json
import os
import subprocess
import sys
import tempfile
import webbrowser
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from tests.cli.conftest import UNSET

from deepchecks_telemetry.spool.catalogue import EVENTS
from deepchecks_telemetry.spool.files import residue
from deepchecks_telemetry.spool.files.paths import Home

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]
Files = Callable[[], dict[str, bytes]]
Sql = Callable[..., list[Any]]

NAMES = [event.name for event in EVENTS]


def installation_id(deepchecks: Run) -> Any:
    return json.loads(deepchecks("status", "--json").stdout)["installation_id"]


def test_disable_leaves_no_byte_of_an_event_and_enable_starts_empty(
    program: Run, record: Record, sql: Sql, files: Files
) -> None:
    assert record(*NAMES) == [True] * len(NAMES)
    body = program("preview").stdout
    assert record(*NAMES) == [True] * len(NAMES)
    before = installation_id(program)
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
    assert {path for path, content in files().items() if any(secret in content for secret in secrets)} == set()
    assert record("run-check") == [False]
    assert installation_id(program) is None

    assert program("enable").stdout == (
        "Telemetry is on, for all environments of this user.\nNothing is sent: no endpoint is set.\n"
        "Run: deepchecks telemetry enable --endpoint https://HOST\n"
    )
    assert record("run-check") == [True]
    assert json.loads(program("status", "--json").stdout)["recorded"] == 1
    assert installation_id(program) not in (None, before)


def test_disable_keeps_the_settings_and_enable_prints_the_endpoint_again(
    deepchecks: Run, home: Path, receiver: Any
) -> None:
    deepchecks("enable", "--endpoint", receiver.url, "--header", "X-Token=secret")
    kept = home / "config" / "endpoint"
    done = deepchecks("disable")
    assert f"Settings are kept: {kept}. To remove them: deepchecks telemetry purge\n" in done.stdout
    assert json.loads(deepchecks("disable", "--json").stdout)["kept_settings"] == [str(kept)]
    done = deepchecks("enable")
    assert f"Counts are sent to {receiver.url}/v1/logs, at most once a day." in done.stdout
    assert done.stdout.endswith("The endpoint is set by your choice.\n")
    done = deepchecks("enable", "--no-endpoint")
    assert done.stdout == (
        f"Removed {kept}\nTelemetry is on, for all environments of this user.\n"
        "Nothing is sent: no endpoint is set.\nRun: deepchecks telemetry enable --endpoint https://HOST\n"
    )
    assert os.listdir(home / "config") == ["mode"]
    assert deepchecks("enable", "--no-endpoint").stdout.startswith("Nothing to remove: you have not set an endpoint.\n")
    done = deepchecks("enable", "--no-endpoint", "--endpoint", receiver.url)
    assert done.returncode == 2


def test_disable_names_the_default_directories_that_it_wipes_too(
    program: Run, record: Record, default: Home, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY_DIR", str(home))
    assert record("run-check") == record("run-check", **UNSET) == [True]
    report = json.loads(program("disable", "--json").stdout)
    modes, states = [str(home / "config" / "mode"), default.mode], [str(home / "state"), default.state]
    assert (report["off"], report["wiped"], report["removed"]["events"]) == (modes, states, 2)
    assert record("run-check") == record("run-check", **UNSET) == [False]
    output = program("disable").stdout
    assert all(f"Wrote off to {mode} and wiped {state}\n" in output for mode, state in zip(modes, states, strict=True))


def test_enable_prints_the_command_that_changes_the_choice_in_the_default_directories(
    program: Run, record: Record, default: Home, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY_DIR", str(home))
    assert program("disable").returncode == 0
    done = program("enable")
    assert done.stdout.startswith(f"Your choice is on, by {home / 'config' / 'mode'}.\n")
    assert "decided by your choice in the default directory" in done.stderr
    assert record("run-check") == [False]
    command = done.stderr.splitlines()[-1].removeprefix("To change that choice too, run: ")
    program_here = f"{sys.executable} -m deepchecks_telemetry.cli telemetry enable"
    there = subprocess.run(command.replace("deepchecks telemetry enable", program_here), shell=True, timeout=60)
    assert there.returncode == 0
    assert record("run-check") == record("run-check", **UNSET) == [True]


def test_disable_removes_the_temporary_directory_of_the_page(
    deepchecks: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(webbrowser, "open", lambda _: True)
    (tmp_path / "temporary").mkdir()
    (tmp_path / "temporary" / f"{residue.PAGES}theirs").mkdir()
    (tmp_path / "temporary" / f"{residue.PAGES}theirs" / "notes").write_text("of another program")
    for _ in range(3):
        assert deepchecks("view").returncode == 0
    pages = list((tmp_path / "temporary").rglob("*.html"))
    assert len(pages) == 1
    report = json.loads(deepchecks("disable", "--json").stdout)
    assert report["removed_files"] == [str(pages[0])]
    left = [path.relative_to(tmp_path / "temporary").as_posix() for path in (tmp_path / "temporary").rglob("*")]
    assert sorted(left) == [f"{residue.PAGES}theirs", f"{residue.PAGES}theirs/notes"]


def test_disable_leaves_the_path_of_an_export_in_no_file(
    program: Run, record: Record, files: Files, tmp_path: Path
) -> None:
    """A path can name a project."""
    (tmp_path / "project-blue").mkdir()
    assert record("run-check") == [True]
    assert program("export", str(tmp_path / "project-blue" / "counts.jsonl")).returncode == 0
    assert any(b"project-blue" in content for content in files().values())
    report = json.loads(program("disable", "--json").stdout)
    assert report["removed_files"] == [str(tmp_path / "project-blue" / "counts.jsonl")]
    assert not any(b"project-blue" in content for content in files().values())


def test_disable_removes_an_export_of_a_damaged_spool(program: Run, record: Record, home: Path, tmp_path: Path) -> None:
    assert record("run-check") == [True]
    assert program("export", str(tmp_path / "counts.jsonl")).returncode == 0
    with (home / "state" / "spool.db").open("r+b") as file:
        file.seek(1024 * 2)  # the root page of a table that each command reads
        file.write(b"\x33" * 1024)
    assert "integrity" in program("doctor").stdout or record("run-check")
    report = json.loads(program("disable", "--json").stdout)
    assert not (tmp_path / "counts.jsonl").exists()
    assert str(tmp_path / "counts.jsonl") in report["removed_files"]


def test_disable_names_a_file_that_cannot_be_removed(
    deepchecks: Run, record: Record, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert record("run-check") == [True]
    kept = str(home / "state" / "spool.db.damaged-1")
    Path(kept).write_bytes(b"...")
    unlink = os.unlink
    monkeypatch.setattr(os, "unlink", lambda path, **more: None if path == kept else unlink(path, **more))
    monkeypatch.setattr(os, "truncate", lambda *_: None)  # under Windows such a file is emptied instead
    done = deepchecks("disable")
    assert done.returncode == 1
    assert done.stderr == f"Error: Could not remove {kept}. Remove it by hand, or run disable again.\n"


def test_disable_reports_what_was_already_delivered_and_to_which_receiver(
    deepchecks: Run, record: Record, receiver: Any
) -> None:
    assert record("run-check", "run-suite") == [True, True]
    deepchecks("enable", "--endpoint", receiver.url)
    assert deepchecks("flush").returncode == 0
    assert record("run-check") == [True]
    done = deepchecks("disable", "--json")
    report = json.loads(done.stdout)
    assert report["removed"] == {"events": 1, "rows": 1, "batches": 0, "identifiers": 1, "files": 0}
    assert (report["already_delivered"], report["delivered_to"]) == (2, [f"{receiver.url}/v1/logs"])
    assert report["scanned"] > 0
    assert report["residue"] == []
    assert set(report) == {
        *("off", "wiped", "removed", "removed_files", "left", "kept_settings", "sending"),
        *("already_delivered", "delivered_to", "carried_away", "scanned", "residue"),
    }


def test_disable_without_a_spool_succeeds_and_creates_none(deepchecks: Run, record: Record, home: Path) -> None:
    for _ in range(2):
        done = deepchecks("disable")
        assert (done.returncode, done.stderr) == (0, "")
        assert "Removed: 0 events, 0 rows, 0 batches, 0 identifiers and 0 files.\n" in done.stdout
    assert record("run-check") == [False]
    assert not (home / "state" / "spool.db").exists()


def test_disable_deletes_a_spool_that_is_not_a_database(
    deepchecks: Run, record: Record, home: Path, files: Files
) -> None:
    (home / "state").mkdir(parents=True, mode=0o700)
    (home / "state" / "spool.db").write_bytes(b"run-check, as text\n" * 100)
    assert deepchecks("disable").returncode == 0
    assert [path for path, content in files().items() if b"run-check" in content] == []
    assert deepchecks("enable").returncode == 0
    assert record("run-check") == [True]


def test_disable_fails_and_names_a_file_that_still_contains_recorded_data(
    deepchecks: Run, record: Record, home: Path
) -> None:
    assert record("run-check") == [True]
    (home / "state" / "of another program").write_text("run-check")
    done = deepchecks("disable")
    assert done.returncode == 1
    assert done.stdout.endswith(": recorded data was found.\n")
    assert done.stderr == (
        f"Error: Recorded data is left in {home / 'state' / 'of another program'}. "
        "Close the programs that have it open, then run disable again.\n"
    )


@pytest.mark.parametrize("variables", [{"DEEPCHECKS_TELEMETRY": "off"}, {"DO_NOT_TRACK": "1"}])
def test_a_process_with_telemetry_off_creates_no_file(variables: dict[str, str], record: Record, files: Files) -> None:
    assert record(*NAMES, **variables) == [False] * len(NAMES)
    assert files() == {}
