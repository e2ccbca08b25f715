"""On Windows an idle program keeps a damaged spool from being renamed: counting continues, and `disable` wipes it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.doctor import examine
from deepchecks_telemetry.spool.errors import Unusable
from deepchecks_telemetry.spool.files.paths import REPLACED, Home
from deepchecks_telemetry.spool.files.quarantine import MAX_QUARANTINED, find_replaced, quarantined
from deepchecks_telemetry.spool.files.residue import find_residue
from deepchecks_telemetry.spool.recording import record as recording
from deepchecks_telemetry.spool.recording import writer
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.spool.wipe import erase

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="only Windows does not rename an open file")

Sql = Callable[..., list[Any]]

# Records an event for each line that it reads, and is idle between them.
IDLE = """
import sys
from deepchecks_telemetry.spool import record
for line in sys.stdin:
    print(record(line.strip()), flush=True)
"""


class Idle:
    """A program that has recorded an event and keeps the spool open."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([sys.executable, "-c", IDLE], stdin=pipe, stdout=pipe, text=True)
        assert self.record()

    def record(self) -> bool:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print("run-check", file=self.process.stdin, flush=True)
        return self.process.stdout.readline().strip() == "True"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)


@pytest.fixture
def idle(dirs: Home) -> Iterator[Idle]:
    program = Idle()
    yield program
    program.kill()


def damage(dirs: Home) -> None:
    """Overwrite the first page of the database: all but its last bytes."""
    with open(dirs.spool, "r+b") as file:
        file.write(b"no database at all " * 50)


def test_counting_continues_beside_an_idle_program_and_its_events_are_recovered_when_it_has_ended(
    dirs: Home, idle: Idle, sql: Sql
) -> None:
    sql("INSERT INTO tallies VALUES ('delivered', 'some')")  # damage of which all but this row can be read
    assert read_accounts(dirs).recorded == 0
    assert (len(find_replaced(dirs)), quarantined(dirs)) == (1, [])
    assert record("run-suite")
    assert read_accounts(dirs).pending == 1
    assert "replaced spools" in {finding.name for finding in examine(dirs)}
    assert idle.record()  # it opens the new spool, and so closes the old one
    assert (read_accounts(dirs).pending, read_accounts(dirs).balance) == (3, 0)
    assert find_replaced(dirs) == []
    assert "replaced spools" not in {finding.name for finding in examine(dirs)}


def test_after_disable_no_recorded_byte_is_left_in_a_damaged_spool_that_a_program_has_open(
    dirs: Home, idle: Idle, sql: Sql
) -> None:
    ((installation,),) = sql("SELECT installation FROM spool")
    damage(dirs)
    assert record("run-suite")
    (replaced,) = find_replaced(dirs)
    assert any(installation.encode() in Path(replaced + suffix).read_bytes() for suffix in ("", "-wal"))
    erased = erase(dirs)
    assert erased.left == ()
    assert find_residue(dirs, [installation.encode(), *erased.markers])[1] == []
    assert not idle.record()
    assert find_residue(dirs, [installation.encode(), *erased.markers])[1] == []
    choose(dirs, "on")
    assert idle.record()
    assert (read_accounts(dirs).pending, read_accounts(dirs).balance) == (1, 0)


def test_disable_wipes_a_spool_of_a_newer_version_that_a_program_has_open(dirs: Home, idle: Idle, sql: Sql) -> None:
    sql("PRAGMA user_version = 999999")
    erased = erase(dirs)
    assert erased.left == ()
    assert find_residue(dirs)[1] == []
    assert not idle.record()
    choose(dirs, "on")
    assert idle.record()
    assert read_accounts(dirs).pending == 1


def test_a_disk_that_damages_every_new_spool_is_not_filled_with_replaced_ones(
    dirs: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BACKOFF_S", 0.0)
    programs = []
    try:
        for _ in range(MAX_QUARANTINED):
            programs.append(Idle())
            damage(dirs)
        programs.append(Idle())
        damage(dirs)
        assert not record("run-check")
        assert len(find_replaced(dirs)) == MAX_QUARANTINED
        with pytest.raises(Unusable, match="repeatedly"):
            read_accounts(dirs)
        assert erase(dirs).left == ()
        assert find_residue(dirs)[1] == []
    finally:
        for program in programs:
            program.kill()


def test_a_marker_counts_for_every_process(dirs: Home, run: Callable[..., str]) -> None:
    assert record("run-check")
    Path(dirs.spool + REPLACED).write_bytes(b"")
    assert record("run-check")
    recording.close()
    assert os.path.basename(dirs.spool) == "spool.db2"
    assert run("from deepchecks_telemetry.spool import record; print(record('run-check'))").strip() == "True"
    assert read_accounts(dirs).pending == 3
