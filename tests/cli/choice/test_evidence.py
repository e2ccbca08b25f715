"""`disable --report`: a new file says what was there, what is there now, and what was done."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]


def digests(*folders: Path) -> dict[str, str]:
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def by_path(files: list[dict[str, Any]]) -> dict[str, str]:
    return {file["path"]: file["sha256"] for file in files}


def test_the_report_has_the_digests_of_all_files_before_and_after(
    program: Run, record: Record, home: Path, stick: Path, tmp_path: Path
) -> None:
    record("run-check")
    assert program("export", str(stick)).returncode == 0
    record("run-suite")
    before, path = digests(home, stick), tmp_path / "evidence.json"
    assert len(before) >= 5
    done = program("disable", "--report", str(path))
    assert done.returncode == 0, done.stderr
    report = json.loads(path.read_text())
    (user,) = report["users"]
    facts = user["facts"]
    assert by_path(facts["files_before"]) == before
    assert by_path(facts["files_after"]) == digests(home, stick)
    user_id = os.geteuid() if os.name == "posix" else None
    assert (user["user_id"], facts["residue"], facts["left"]) == (user_id, [], [])
    assert [removed for removed in facts["removed_files"] if removed.startswith(str(stick))]
    assert report["started"] <= report["finished"]
    assert os.name == "nt" or path.stat().st_mode & 0o777 == 0o600
    assert b"run-check" not in path.read_bytes()


def test_the_report_is_written_although_recorded_data_is_left(
    program: Run, record: Record, home: Path, tmp_path: Path
) -> None:
    record("run-check")
    (home / "config").mkdir(exist_ok=True)
    (home / "config" / "note").write_text("run-check")
    done = program("disable", "--report", str(tmp_path / "evidence.json"))
    assert done.returncode == 1
    (user,) = json.loads((tmp_path / "evidence.json").read_text())["users"]
    assert user["facts"]["residue"] == [str(home / "config" / "note")]


@pytest.mark.parametrize("name", ["exists.json", "missing/evidence.json"])
def test_nothing_is_done_if_the_report_could_not_be_written(
    name: str, program: Run, record: Record, tmp_path: Path
) -> None:
    (tmp_path / "exists.json").write_text("mine")
    record("run-check")
    done = program("disable", "--report", str(tmp_path / name))
    assert done.returncode == 2
    assert json.loads(program("status", "--json").stdout)["recorded"] == 1
    assert (tmp_path / "exists.json").read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be two users")
def test_root_gets_one_report_about_all_users(program: Run, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as above:
        Path(above).chmod(0o755)
        homes = [Path(above, name) for name in ("jane", "john")]
        for number, home in enumerate(homes, 61_001):
            home.mkdir()
            os.chown(home, number, number)
        path = tmp_path / "evidence.json"
        done = program("disable", "--all-users", *map(str, homes), "--report", str(path))
        assert done.returncode == 0, done.stderr
        users = json.loads(path.read_text())["users"]
        assert [(user["user_id"], user["home"], user["error"]) for user in users] == [
            (number, str(home), None) for number, home in enumerate(homes, 61_001)
        ]
        for user, home in zip(users, homes, strict=True):
            assert by_path(user["facts"]["files_after"]) == digests(home)
            assert user["facts"]["files_before"] == []
