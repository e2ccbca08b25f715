"""A copy of a spool (an image, a clone, a backup) is detected, and does not send the events of its original."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.spool.stored import Stored, stored

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.ledger import batches
from deepchecks_telemetry.spool.batches.seal import Row, seal
from deepchecks_telemetry.spool.db import origin
from deepchecks_telemetry.spool.files.paths import DIR_VARIABLE, Home, find_home
from deepchecks_telemetry.spool.recording.record import close
from deepchecks_telemetry.spool.stats import Accounts, read_accounts
from deepchecks_telemetry.spool.wipe import erase

Run = Callable[..., str]
Render = Callable[[str, list[Row]], bytes]
Sql = Callable[..., list[Any]]
posix = pytest.mark.skipif(sys.platform == "win32", reason="rename and copy there need the spool closed by all")

RECORD = """
import os, sys
from deepchecks_telemetry.spool import record
assert all([record("run-check") for _ in range(int(sys.argv[1]))])
os._exit(0)
"""
# Records until that many events are stored: under load a record may give up after 100 ms.
RECORD_STORED = """
import os, sys, time
from deepchecks_telemetry.spool import record
stored, deadline = 0, time.monotonic() + 30
while stored < int(sys.argv[1]) and time.monotonic() < deadline:
    if record("run-check"):
        stored += 1
    else:
        time.sleep(0.02)
os._exit(int(sys.argv[1]) - stored)
"""
# Prints what a command would print of the spool in DEEPCHECKS_TELEMETRY_DIR, and then records.
WAKE = """
import json, os, sys
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.stats import read_accounts
done = [record("run-suite") for _ in range(int(sys.argv[1]))]
found = read_accounts(find_home())
print(json.dumps([sum(done), found.installation_id, found.pending, found.dropped, found.balance]))
"""
# The file system of a container: the image below, its own writable layer above.
CONTAINER = """
mkdir -p "$2/upper" "$2/work" "$2/merged"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/merged" || exit 77
export DEEPCHECKS_TELEMETRY_DIR="$2/merged/home"
shift 2
exec "$@"
"""


@pytest.fixture
def copy(dirs: Home, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A copy of a spool with three pending events; it is the one in use from now on."""
    run(RECORD, "3")
    shutil.copytree(tmp_path / "home", tmp_path / "copy")
    monkeypatch.setenv(DIR_VARIABLE, str(tmp_path / "copy"))
    return find_home()


def known(accounts: Accounts) -> tuple[int, int, dict[str, int], int]:
    return accounts.recorded, accounts.pending, accounts.dropped, accounts.balance


def test_a_copied_directory_only_counts_its_own_events_with_a_new_id(dirs: Home, copy: Home, run: Run) -> None:
    before = read_accounts(dirs)
    run(RECORD, "2")
    found = read_accounts(copy)
    assert known(found) == (5, 2, {"copied": 3}, 0)
    assert found.installation_id not in (None, before.installation_id)
    assert known(read_accounts(dirs)) == (3, 3, {}, 0)
    assert read_accounts(dirs).installation_id == before.installation_id
    run(RECORD, "2")
    assert known(read_accounts(copy)) == (7, 4, {"copied": 3}, 0)
    assert read_accounts(copy).installation_id == found.installation_id


def test_a_command_detects_a_copy_before_anything_is_recorded(copy: Home) -> None:
    found = read_accounts(copy)
    assert (*known(found), found.installation_id) == (3, 0, {"copied": 3}, 0, None)


def test_a_copy_drops_unsettled_batches_and_keeps_settled_ones(
    dirs: Home, run: Run, sql: Sql, render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for state in ("delivered", "exported", "parked", "sealed"):
        run(RECORD, "2")
        assert seal(dirs, render, while_unsent=True)
        sql("UPDATE batches SET state = ?, attempts = 1 WHERE state = 'sealed'", state)
    sql("INSERT INTO tallies VALUES ('delivered', 2)")
    sql("UPDATE spool SET next_upload = 1, failures = 3, endpoint = 'https://example.org'")
    sql("INSERT INTO retry_after VALUES ('example.org', 9999999999)")
    shutil.copytree(tmp_path / "home", tmp_path / "copy")
    monkeypatch.setenv(DIR_VARIABLE, str(tmp_path / "copy"))
    copy = find_home()
    found = read_accounts(copy)
    assert known(found) == (8, 0, {"copied": 6}, 0)
    assert (found.delivered, found.batches, stored(copy)) == (2, 0, Stored())
    assert {batch.state for batch in batches(copy)} == {"delivered", "dropped"}
    assert known(read_accounts(dirs)) == (8, 0, {}, 0)


@posix
def test_a_moved_directory_is_not_a_copy(dirs: Home, run: Run, tmp_path: Path) -> None:
    run(RECORD, "3")
    (tmp_path / "home").rename(tmp_path / "moved")
    run(RECORD, "1", DEEPCHECKS_TELEMETRY_DIR=str(tmp_path / "moved"))
    assert known(read_accounts(find_home({DIR_VARIABLE: str(tmp_path / "moved")}))) == (4, 4, {}, 0)


def test_a_copy_with_a_closed_fence_is_not_changed(
    dirs: Home, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(RECORD, "3")
    erase(dirs)
    shutil.copytree(tmp_path / "home", tmp_path / "copy")
    before = {path.name: path.read_bytes() for path in (tmp_path / "copy" / "state").iterdir()}
    monkeypatch.setenv(DIR_VARIABLE, str(tmp_path / "copy"))
    run("from deepchecks_telemetry.spool import record; assert not record('run-check')")
    read_accounts(find_home())
    after = {path.name: path.read_bytes() for path in (tmp_path / "copy" / "state").iterdir()}
    assert {name: after[name] for name in before} == before


def test_eight_programs_that_start_in_a_copy_are_one_installation(copy: Home) -> None:
    children = [subprocess.Popen([sys.executable, "-c", RECORD_STORED, "5"]) for _ in range(8)]
    assert [child.wait(60) for child in children] == [0] * 8
    found = read_accounts(copy)
    busy = found.dropped.pop("busy", 0)
    assert known(found) == (43 + busy, 40, {"copied": 3}, 0)


@pytest.fixture
def no_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The machine-id file of this machine, which is not a container."""
    monkeypatch.setattr(origin, "is_container", lambda: False)
    monkeypatch.setattr(origin, "MACHINE_ID", str(tmp_path / "machine-id"))
    (tmp_path / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    return tmp_path / "machine-id"


@pytest.mark.skipif(sys.platform != "linux", reason="machine-id(5)")
def test_a_machine_with_another_id_is_a_clone(dirs: Home, no_container: Path) -> None:
    assert record("run-check")
    close()
    first = read_accounts(dirs)
    assert (first.pending, first.dropped) == (1, {})
    no_container.write_text("fedcba9876543210fedcba9876543210\n")
    assert record("run-check")
    second = read_accounts(dirs)
    assert known(second) == (2, 1, {"copied": 1}, 0)
    assert second.installation_id != first.installation_id


@pytest.mark.skipif(sys.platform != "linux", reason="machine-id(5)")
def test_a_machine_without_an_id_is_not_a_clone(
    dirs: Home, no_container: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert record("run-check")
    monkeypatch.setattr(origin, "is_container", lambda: True)  # the machine id of an image is ignored
    close()
    assert record("run-check")
    no_container.unlink()
    monkeypatch.setattr(origin, "is_container", lambda: False)
    close()
    assert record("run-check")
    assert known(read_accounts(dirs)) == (3, 3, {}, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="machine-id(5)")
def test_the_spool_stores_a_digest_of_the_machine_id(dirs: Home, no_container: Path) -> None:
    assert record("run-check")
    close()
    found = b"".join(path.read_bytes() for path in Path(dirs.state).iterdir())
    assert no_container.read_bytes().strip() not in found


@pytest.mark.parametrize("first", ["a program", "a command"])
@pytest.mark.parametrize("column", ["salt", "machine", "file"])
def test_a_spool_whose_origin_is_damaged_is_not_a_copy(dirs: Home, run: Run, sql: Sql, column: str, first: str) -> None:
    run(RECORD, "3")
    sql(f"UPDATE origin SET {column} = zeroblob(32)")  # as SQLite reads the end of a file that was cut off
    number = 3
    if first == "a program":
        run(RECORD, "2")
        number = 5
    assert known(read_accounts(dirs)) == (number, number, {}, 0)


def test_a_wipe_deletes_the_origin(dirs: Home, run: Run, sql: Sql) -> None:
    run(RECORD, "1")
    assert len(sql("SELECT * FROM origin")) == 1
    erase(dirs)
    assert sql("SELECT * FROM origin") == []


@pytest.mark.parametrize(
    ("noted", "found", "differ"),
    [
        (("m", "f"), ("m", "f"), False),
        (("m", "f"), ("n", "f"), True),
        (("m", "f"), ("m", "g"), True),
        (("m", "f"), ("", "g"), True),
        (("", "f"), ("m", "f"), False),
        (("m", ""), ("m", "f"), False),
        (("m", "f"), ("", ""), False),
    ],
)
def test_only_identities_known_on_both_sides_can_differ(
    noted: tuple[str, str], found: tuple[str, str], differ: bool
) -> None:
    assert origin._is_copy(("salt", *origin.digest(noted, "salt")), found) == differ
    assert origin.digest(noted, "salt") != origin.digest(("m", "f"), "pepper")


@pytest.fixture
def container(tool: Callable[[str], str], tmp_path: Path, dirs: Home, run: Run) -> Callable[..., list[Any]]:
    """Run a program in a container of an image in which three events had been recorded."""
    if sys.platform != "linux":
        pytest.skip("Linux's containers")
    apart = [tool("unshare"), *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--mount"]
    run(RECORD, "3", DEEPCHECKS_TELEMETRY_DIR=str(tmp_path / "image" / "home"))

    def start(name: str, events: int) -> list[Any]:
        command = [*apart, "sh", "-c", CONTAINER, "sh", str(tmp_path / "image"), str(tmp_path / name)]
        done = subprocess.run(
            [*command, sys.executable, "-c", WAKE, str(events)], capture_output=True, text=True, timeout=60
        )
        if done.returncode == 77:
            pytest.skip(f"no overlay can be mounted here: {done.stderr}")
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout))

    return start


def test_containers_of_an_image_with_a_spool_only_count_their_own_events(
    container: Callable[..., list[Any]],
) -> None:
    outputs = [container(f"container {number}", 2) for number in range(10)]
    assert [(done, pending, dropped, balance) for done, _, pending, dropped, balance in outputs] == [
        (2, 2, {"copied": 3}, 0)
    ] * 10
    assert len({installation for _, installation, *_ in outputs}) == 10


def test_a_restarted_container_is_not_a_copy(container: Callable[..., list[Any]]) -> None:
    first, second = container("one", 2), container("one", 2)
    assert (first[2], second[2], second[3]) == (2, 4, {"copied": 3})
    assert first[1] == second[1]
