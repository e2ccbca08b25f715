"""After `disable` no byte of what was recorded is in any of our files, whatever SQLite does by itself."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest
from tests.spool.stored import Stored, stored

from deepchecks_telemetry.spool import record, wipe
from deepchecks_telemetry.spool.batches.ledger import Batch, Disposition, batches, settle
from deepchecks_telemetry.spool.batches.seal import Row, seal
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import read_source
from deepchecks_telemetry.spool.consent.resource import current
from deepchecks_telemetry.spool.db import emptying
from deepchecks_telemetry.spool.errors import Busy, Unusable
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.residue import find_residue
from deepchecks_telemetry.spool.states import BatchState
from deepchecks_telemetry.spool.stats import Accounts, read_accounts
from deepchecks_telemetry.spool.wipe import erase

Run = Callable[..., str]
Sql = Callable[..., list[Any]]
Render = Callable[[str, list[Row]], bytes]

# All that a spool can contain: delivered, parked, sealed, folded and raw events. The delivered batches had so
# many rows that whole pages are free now. It prints all identifiers that were ever stored.
LIVE = """
import itertools
from deepchecks_telemetry.spool.batches.ledger import Disposition, batches, settle
from deepchecks_telemetry.spool.states import BatchState
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.seal import seal
from deepchecks_telemetry.spool.recording import writer
from deepchecks_telemetry.spool.catalogue import EVENTS
home, names = find_home(), [event.name for event in EVENTS]
def render(installation, rows):
    print(installation, *[row.uid for row in rows])
    return repr((installation, rows)).encode()
writer.LEASE_S = 0.0  # the day is read with each look
for state, days in (("delivered", 60), ("parked", 1), ("sealed", 1)):
    for day, name in itertools.product(range(days), names):
        writer.today = lambda: day
        assert record(name)
    assert seal(home, render)
    assert settle(home, batches(home)[-1], Disposition(BatchState(state), "a test"))
assert all(record("suite-to-html") for _ in range(1200))
"""
ERASE = """
from deepchecks_telemetry.spool.wipe import erase
from deepchecks_telemetry.spool.files.paths import find_home
print(*[marker.decode() for marker in erase(find_home()).markers])
"""
SCAN = """
import pathlib, sys
wanted = [word.encode() for word in sys.argv[2:]]
for path in pathlib.Path(sys.argv[1]).rglob("*"):
    if path.is_file() and any(word in path.read_bytes() for word in wanted):
        print(path.name)
"""
OTHER_SQLITE = "import pysqlite3, sys\nsys.modules['sqlite3'] = pysqlite3\n"
CARELESS = """
from deepchecks_telemetry.spool.db import connection
configure = connection._configure
def configure_carelessly(opened, *more):
    configure(opened, *more)
    opened.execute("PRAGMA secure_delete = OFF")
connection._configure = configure_carelessly
"""


def residue(dirs: Home, markers: list[bytes]) -> list[str]:
    """The files that still contain a marker, an event's name or a value of the environment; nothing is open here."""
    words = [*markers, b"run-check", b"run-suite", b"suite-to-html", current().python_version.encode()]
    contents = {path.name: path.read_bytes() for top in (dirs.state, dirs.config) for path in Path(top).rglob("*")}
    return [name for name, content in contents.items() if any(word in content for word in words)]


@pytest.mark.parametrize("first", ["", CARELESS, OTHER_SQLITE], ids=["sqlite3", "careless", "pysqlite3"])
def test_disable_leaves_no_byte_of_a_full_spool(dirs: Home, run: Run, first: str) -> None:
    """Debian's SQLite overwrites deleted rows, others do not, for example pysqlite3's."""
    if first == OTHER_SQLITE:
        pytest.importorskip("pysqlite3", reason="pysqlite3-binary is not installed here")
    markers = [word.encode() for word in run(first + LIVE).split()]
    assert residue(dirs, []) != []
    identifiers = [word.encode() for word in run(first + ERASE).split()]
    assert len(identifiers) > 4
    assert residue(dirs, [*markers, *identifiers]) == []
    assert find_residue(dirs, markers)[1] == []


@pytest.mark.parametrize("first", ["", CARELESS], ids=["sqlite3", "careless"])
def test_disable_leaves_no_byte_while_another_process_has_the_spool_open(dirs: Home, run: Run, first: str) -> None:
    code = f"""{first}{LIVE}
import subprocess, sys
def run_other(*arguments):
    return subprocess.run([sys.executable, "-c", *arguments], capture_output=True, text=True, check=True).stdout
identifiers = run_other(sys.argv[1]).split()
assert len(identifiers) > 4
print("left:", *run_other(sys.argv[2], sys.argv[3], "run-check", "suite-to-html", *identifiers).split())
assert not record("run-check")
"""
    assert run(code, first + ERASE, SCAN, dirs.state).splitlines()[-1] == "left:"
    assert residue(dirs, []) == []


def test_residue_is_found(dirs: Home, tmp_path: Path) -> None:
    os.makedirs(dirs.state)
    Path(dirs.state, "spool.db.old").write_bytes(b"...uid-1...")
    Path(dirs.state, "other").write_bytes(b"...run-suite...")
    os.makedirs(dirs.config)
    Path(dirs.mode).write_text("off")
    scanned, found = find_residue(dirs, [b"uid-1"])
    other, old = (os.path.join(dirs.state, name) for name in ("other", "spool.db.old"))
    assert (scanned, set(found)) == (3, {other, old})
    assert find_residue(dirs) == (3, [other])


def test_disable_returns_what_was_recorded_and_resets_every_counter(dirs: Home, render: Render, sql: Sql) -> None:
    for state in ("delivered", "rejected", "exported", "parked"):
        assert record("run-check")
        assert seal(dirs, render)
        assert settle(
            dirs, batches(dirs)[-1], Disposition(BatchState(state), "a test", rejected_rows=int(state == "rejected"))
        )
    assert record("run-check")
    erased = erase(dirs)
    before = erased.before
    assert (before.delivered, before.rejected, before.exported, before.parked, before.pending) == (1, 1, 1, 1, 1)
    assert (read_accounts(dirs), stored(dirs)) == (Accounts(), Stored(closed=True))
    for (table,) in sql("SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'spool'"):
        assert sql(f"SELECT count(*) FROM {table}") == [(0,)], table
    assert read_source("", dirs.mode).mode == "off"


def test_disable_without_a_spool_creates_no_state_directory(dirs: Home, home: Path) -> None:
    assert len(erase(dirs).removed) == 0
    assert [path.relative_to(home).as_posix() for path in home.rglob("*")] == ["config", "config/mode"]
    assert not record("run-check")


def test_each_disable_closes_the_fence_with_a_new_number(dirs: Home, sql: Sql) -> None:
    """So a host that has read the fence before can never open it again."""
    assert record("run-check")
    for epoch in (1, 3, 5):
        erase(dirs)
        assert sql("SELECT epoch FROM spool") == [(epoch,)]
    choose(dirs, "on")
    erase(dirs)
    assert sql("SELECT epoch FROM spool") == [(7,)]


def test_a_reader_makes_disable_busy_and_the_next_one_finishes(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emptying, "READERS_WAIT_S", 0.05)
    monkeypatch.setattr("deepchecks_telemetry.spool.db.connection.BUSY_TIMEOUT_S", 0.05)
    assert record("run-check")
    with closing(sqlite3.connect(dirs.spool, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM events").fetchone() == (1,)
        with pytest.raises(Busy, match="reading the spool"):
            erase(dirs)
        assert not record("run-check")
        reader.execute("ROLLBACK")
    erase(dirs)
    assert read_accounts(dirs).recorded == 0


def test_disable_waits_for_a_running_upload(dirs: Home) -> None:
    assert record("run-check")
    waits: list[str] = []
    flight: AbstractContextManager[None] = hold(dirs.upload_lock, 1)
    flight.__enter__()

    def finish_upload() -> None:
        waits.append("waiting")
        # The fence is closed before the wait, so no other request starts meanwhile.
        assert stored(dirs).closed
        flight.__exit__(None, None, None)

    erase(dirs, on_wait=finish_upload)
    assert waits == ["waiting"]
    assert read_accounts(dirs).recorded == 0


def test_an_endless_upload_makes_disable_busy_but_nothing_is_recorded(
    dirs: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wipe, "UPLOAD_WAIT_S", 0.05)
    assert record("run-check")
    with hold(dirs.upload_lock, 1):
        with pytest.raises(Busy):
            erase(dirs)
        assert not record("run-check")


def test_incomplete_and_damaged_copies_are_removed(dirs: Home) -> None:
    assert record("run-check")
    for name in ("spool.db.new", "spool.db.new-wal", "spool.db.damaged-1", "spool.db.damaged-1-wal"):
        Path(dirs.state, name).write_bytes(b"run-check")
    erase(dirs)
    assert not [name for name in os.listdir(dirs.state) if name.startswith("spool.db.")]
    assert residue(dirs, []) == []


@pytest.mark.parametrize("content", [b"no database at all, run-check " * 100, b""])
def test_a_broken_spool_is_removed(dirs: Home, content: bytes) -> None:
    os.makedirs(dirs.state, mode=0o700)
    Path(dirs.spool).write_bytes(content)
    erase(dirs)
    assert residue(dirs, []) == []
    assert not record("run-check")


def test_if_the_choice_cannot_be_written_all_is_wiped_and_it_is_an_error(dirs: Home) -> None:
    assert record("run-check")
    Path(dirs.config).parent.mkdir(exist_ok=True)
    Path(dirs.config).write_text("a file where the folder should be")
    with pytest.raises(
        Unusable, match=r"recorded data was wiped, but your choice cannot be written to .*: only the closed spool"
    ):
        erase(dirs)
    assert (read_accounts(dirs), stored(dirs)) == (Accounts(), Stored(closed=True))
    assert not record("run-check")  # the fence is closed, and there is no choice


def test_after_enable_the_installation_id_and_the_uids_are_new(dirs: Home, render: Render) -> None:
    def record_and_seal() -> tuple[str | None, list[Batch]]:
        assert record("run-check")
        assert seal(dirs, render)
        return read_accounts(dirs).installation_id, batches(dirs)

    (first, (old,)) = record_and_seal()
    erase(dirs)
    choose(dirs, "on")
    (second, (new,)) = record_and_seal()
    assert first != second
    assert old.sha256 != new.sha256


def test_disable_also_changes_a_closed_fence(dirs: Home) -> None:
    """A host that has read the first closed fence must not open the second one because of a hand-written `on`."""
    assert record("run-check")
    fences = []
    for _ in range(3):
        erase(dirs)
        with closing(sqlite3.connect(dirs.spool)) as connection:
            fences.append(connection.execute("SELECT epoch FROM spool").fetchone()[0])
    assert [fence % 2 for fence in fences] == [1, 1, 1]
    assert fences[0] < fences[1] < fences[2]
