"""`purge`: only the choice off is left."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]


def test_purge_leaves_only_the_choice_off(
    program: Run, record: Record, environment: str, python: Run, home: Path, tmp_path: Path, receiver: Any
) -> None:
    folder = tmp_path / "environment"
    (packages,) = [*folder.glob("lib/python*/site-packages"), *folder.glob("Lib/site-packages")]
    (packages / "deepchecks").mkdir()
    (packages / "deepchecks" / "__init__.py").touch()
    (packages / "deepchecks" / ".user_id").write_text("0b0e")
    telemetry = ("-m", "deepchecks_telemetry.cli", "telemetry")
    assert python(*telemetry, "attach", python=environment).returncode == 0
    attached = packages / "deepchecks_telemetry_attach.pth"
    assert attached.exists()
    program("enable", "--endpoint", receiver.url, "--header", "X-Token=secret")
    assert record("run-check", "run-suite") == [True, True]
    assert program("export", str(tmp_path / "counts.jsonl")).returncode == 0
    assert program("deliver", str(tmp_path / "counts.jsonl"), "--endpoint", receiver.url).returncode == 0
    (home / "config" / "endpoint.0123456789ab.new").write_text("partly written, with a token")
    (home / "config" / "notes").write_text("of the user")

    done = python(*telemetry, "purge", "--json", python=environment)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    expected = [
        tmp_path / "counts.jsonl",
        home / "state" / "spool.db",
        *(home / "config" / name for name in ("endpoint", "endpoint.0123456789ab.new")),
        home / "courier" / "ledger.db",
        attached,
        packages / "deepchecks" / ".user_id",
    ]
    if os.name != "nt":  # there filelock removes the file of a lock when it releases it
        expected += [*(home / "state" / name for name in ("spool.lock", "upload.lock"))]
        expected += [home / "courier" / "ledger.db.lock"]
    assert set(report["removed_files"]) >= set(map(str, expected))
    assert not any(map(os.path.lexists, report["removed_files"]))
    assert report["left"] == report["residue"] == report["kept_settings"] == report["problems"] == []
    assert sorted(path.relative_to(home).as_posix() for path in home.rglob("*")) == [
        "config",
        "config/mode",
        "config/notes",
    ]
    assert (home / "config" / "mode").read_text() == "off\n"
    assert record("run-check") == [False]
    assert not (home / "state").exists()
    done = python(*telemetry, "purge", python=environment)
    assert done.stdout == f"Kept: the choice off in {home / 'config' / 'mode'}, for all environments of this user.\n"
