"""A damaged spool is renamed under the lock, recording continues immediately, and no lease is exceeded."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.db import connection as db_connection
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.db.create import create
from deepchecks_telemetry.spool.errors import Damaged, Unusable
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.quarantine import MAX_QUARANTINED, SETTLED_S, quarantine, quarantined
from deepchecks_telemetry.spool.files.regular import file_id
from deepchecks_telemetry.spool.recording import writer
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.spool.wipe import erase

Run = Callable[..., str]
Sql = Callable[..., list[Any]]


def damage(dirs: Home, octets: bytes = b"no database at all" * 100) -> None:
    """Overwrite bytes; this process does not have the spool open, so its locks are not affected."""
    with open(dirs.spool, "r+b") as file:
        file.truncate(0)
        file.write(octets)


@pytest.mark.parametrize("octets", [b"", b"Dear diary", b"SQLite format 3\0" + bytes(84), os.urandom(5000)])
def test_the_record_that_finds_the_damage_is_stored(dirs: Home, run: Run, octets: bytes) -> None:
    run("from deepchecks_telemetry.spool import record; assert record('run-check')")
    damage(dirs, octets)
    os.unlink(dirs.spool + "-wal")
    assert record("run-suite")
    assert len(quarantined(dirs)) == 1
    with opened(dirs) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (1,)


def test_an_emptied_spool_is_quarantined_and_recording_continues(dirs: Home, run: Run) -> None:
    """SQLite would delete its WAL, because an empty database has none."""
    run("import os; from deepchecks_telemetry.spool import record; assert record('run-check'); os._exit(0)")
    os.truncate(dirs.spool, 0)
    assert record("run-suite")
    assert (read_accounts(dirs).pending, read_accounts(dirs).balance) == (1, 0)


def test_an_undecodable_schema_is_damage(dirs: Home, run: Run, sql: Sql) -> None:
    """SQLite quotes it in its message, which Python cannot decode; the error is not one of sqlite3's."""
    run("from deepchecks_telemetry.spool import record; assert record('run-check')")
    sql("PRAGMA wal_checkpoint(TRUNCATE)")
    octets = Path(dirs.spool).read_bytes()
    broken = octets.replace(b"talliestallies", b"t\xe4lliestallies").replace(b"tallies (name", b"tallies ?name")
    assert len(broken) == len(octets)
    Path(dirs.spool).write_bytes(broken)
    assert record("run-suite")
    assert len(quarantined(dirs)) == 1
    assert (read_accounts(dirs).pending, read_accounts(dirs).balance) == (1, 0)


def test_a_reader_that_finds_damage_quarantines_it_and_reads_the_new_spool(dirs: Home, run: Run) -> None:
    run("from deepchecks_telemetry.spool import record; assert record('run-check')")
    damage(dirs)
    with pytest.raises(Damaged), opened(dirs):
        pass
    assert len(quarantined(dirs)) == 1
    assert not os.path.lexists(dirs.spool)
    assert read_accounts(dirs).balance == 0


def test_only_the_damaged_file_is_quarantined(dirs: Home) -> None:
    assert record("run-check")
    seen = file_id(dirs.spool)
    assert seen is not None
    quarantine(dirs, (seen[0], seen[1] + 1))
    quarantine(dirs, None)
    assert quarantined(dirs) == []
    assert record("run-check")


def test_a_disk_that_damages_every_new_spool_is_not_filled_with_copies(dirs: Home) -> None:
    for _ in range(MAX_QUARANTINED):
        create(dirs, 1.0)
        quarantine(dirs, file_id(dirs.spool))
    create(dirs, 1.0)
    with pytest.raises(Unusable, match="damaged repeatedly"):
        quarantine(dirs, file_id(dirs.spool))
    assert len(quarantined(dirs)) == MAX_QUARANTINED
    damage(dirs)
    assert not record("run-check")


def test_a_wal_that_was_not_renamed_follows_its_spool(dirs: Home, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("import os; from deepchecks_telemetry.spool import record; assert record('run-check'); os._exit(0)")
    assert os.path.getsize(dirs.spool + "-wal")
    os.rename(dirs.spool, dirs.spool + ".damaged-1")  # and then the process was killed
    assert record("run-suite")
    assert os.path.getsize(dirs.spool + ".damaged-1-wal")
    stats = read_accounts(dirs)
    assert (stats.pending, stats.dropped, stats.balance) == (2, {}, 0)


def test_an_orphan_wal_is_not_applied_to_the_new_spool(dirs: Home) -> None:
    os.makedirs(dirs.state, mode=0o700)
    Path(dirs.spool + "-wal").write_bytes(os.urandom(3000))
    assert record("run-check")
    assert read_accounts(dirs).recorded == 1


@pytest.mark.parametrize("salvaged", [False, True])
def test_disable_removes_quarantined_and_unreadable_copies(dirs: Home, run: Run, sql: Sql, salvaged: bool) -> None:
    run("from deepchecks_telemetry.spool import record; assert record('run-check')")
    ((mark,),) = sql("SELECT installation FROM spool")
    damage(dirs, b"a page that still holds " + mark.encode())
    assert record("run-check")
    if salvaged:
        assert read_accounts(dirs).recorded == 1
        assert os.path.exists(dirs.spool + ".unreadable")
    assert find_residue_in_another_process(dirs, mark)
    erase(dirs)
    assert find_residue_in_another_process(dirs, mark) == []
    assert not [name for name in os.listdir(dirs.state) if name.startswith("spool.db.")]


def find_residue_in_another_process(dirs: Home, mark: str) -> list[str]:
    """In another process, because this one has the spool open."""
    code = (
        "import sys; from deepchecks_telemetry.spool.files.paths import find_home\n"
        "from deepchecks_telemetry.spool.files.residue import find_residue\n"
        "print(*find_residue(find_home(), [sys.argv[1].encode()])[1])"
    )
    done = subprocess.run([sys.executable, "-c", code, mark], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split()


# Stops itself between the check of the spool and the insert, and afterwards prints the result of record().
STALLED = """
import copy, os, signal, sys, time
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.recording import record as recording
assert record("run-check")
watch = recording._writer._watch
look_at = watch.next_check = time.monotonic() + float(sys.argv[1])
session = recording._writer._session
class Stopped:
    def execute(self, statement, values):
        os.kill(os.getpid(), signal.SIGSTOP)
        recording._writer._session = session
        while time.monotonic() < look_at < time.monotonic() + 1: pass
        return session.cursor.execute(statement, values)
    def close(self):
        session.cursor.close()
recording._writer._session = copy.copy(session)
recording._writer._session.cursor = Stopped()
print(int(record("run-suite")), flush=True)
print(int(record("run-suite")), flush=True)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system cannot stop a process")
@pytest.mark.parametrize(
    ("lease_s", "salvaged", "printed", "stored"),
    [
        ("60", False, ["1", "1"], 3),  # within the lease it is acknowledged, and found by the later salvage
        ("0.01", False, ["0", "1"], 3),  # after the lease it is not acknowledged, but found
        ("0.01", True, ["0", "1"], 2),  # not acknowledged, and the salvage was first
    ],
)
def test_a_writer_that_stalls_during_a_quarantine_acknowledges_nothing_lost(
    dirs: Home, lease_s: str, salvaged: bool, printed: list[str], stored: int
) -> None:
    with subprocess.Popen([sys.executable, "-c", STALLED, lease_s], stdout=subprocess.PIPE, text=True) as writer:
        assert os.WIFSTOPPED(os.waitpid(writer.pid, os.WUNTRACED)[1])
        quarantine(dirs, file_id(dirs.spool))
        if salvaged:
            assert read_accounts(dirs).recorded == 1
        writer.send_signal(signal.SIGCONT)
        assert writer.communicate(timeout=60)[0].split() == printed
    stats = read_accounts(dirs)
    assert (stats.pending, stats.balance) == (stored, 0)


def test_a_lease_is_a_small_part_of_the_wait_before_a_salvage() -> None:
    from deepchecks_telemetry.spool.files.quarantine import LEASE_S

    assert SETTLED_S >= 50 * LEASE_S


@pytest.mark.skipif(os.name == "nt", reason="Windows does not rename an open file: see test_replaced.py")
def test_a_connection_to_a_replaced_file_is_not_used(dirs: Home, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the old file was opened, and before its WAL, another process quarantines it and records into a new one."""
    assert record("run-check")
    configure = db_connection._configure

    def replaced(connection: Any, home: Home) -> None:
        monkeypatch.setattr(db_connection, "_configure", configure)
        quarantine(dirs, file_id(dirs.spool))
        run("import os; from deepchecks_telemetry.spool import record; assert record('run-suite'); os._exit(0)")
        configure(connection, home)

    monkeypatch.setattr(db_connection, "_configure", replaced)
    monkeypatch.setattr(writer, "DEADLINE_S", 10.0)  # another interpreter starts meanwhile
    close_our_own()
    assert record("run-check")
    stats = read_accounts(dirs)
    assert (stats.pending, stats.dropped, stats.balance) == (3, {}, 0)


def close_our_own() -> None:
    from deepchecks_telemetry.spool.recording import record as recording

    recording.close()


def test_a_file_that_another_process_renamed_does_not_cause_a_back_off(
    dirs: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepchecks_telemetry.spool.recording import descriptors

    assert record("run-check")
    close_our_own()
    open_numbers = descriptors.open_numbers

    def quarantine_meanwhile() -> frozenset[int]:
        monkeypatch.setattr(descriptors, "open_numbers", open_numbers)
        quarantine(dirs, file_id(dirs.spool))
        return open_numbers()

    monkeypatch.setattr(descriptors, "open_numbers", quarantine_meanwhile)
    assert record("run-check")
    assert record("run-check")


def test_a_damaged_spool_is_not_quarantined_while_the_lock_is_held(dirs: Home, run: Run) -> None:
    run("from deepchecks_telemetry.spool import record; assert record('run-check')")
    damage(dirs)
    with hold(dirs.lock, 1.0):
        done: list[bool] = []
        thread = threading.Thread(target=lambda: done.append(record("run-suite")))
        thread.start()
        thread.join(10)
        assert done == [False]
    assert quarantined(dirs) == []
