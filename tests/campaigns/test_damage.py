"""Damage campaign: after any damage to the spool's files, recording continues, and losses are reported."""

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from deepchecks_telemetry.spool.doctor import WRONG, examine
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.files.quarantine import find_replaced, quarantined
from deepchecks_telemetry.spool.files.residue import find_residue
from deepchecks_telemetry.spool.recording.writer import BACKOFF_S, COMPACT_EVERY
from deepchecks_telemetry.spool.recovery import maintenance
from deepchecks_telemetry.spool.stats import read_accounts, read_unsent
from deepchecks_telemetry.spool.wipe import erase

pytestmark = pytest.mark.timeout(3600)
SEED = 70_000
PAGE = 512
GRACE_S = 0.1  # ten leases
# A program that has the spool open detects a broken schema or WAL when it folds, at every 2,500th event. Events that
# it stored since the damage cannot be read then. Programs in tight loops can delay each other's folding for a while.
UNNOTICED = 5 * COMPACT_EVERY
FULL = (3 + 4 + 5 + 6) * 9 + 240 + 450  # the number of events that `FILL` records

# Fills a spool with everything: batches in all states, folded counts, and raw events, some of them in a WAL that this
# process leaves behind. Three environments, so that the index on them is used.
FILL = """
import json
from deepchecks_telemetry.spool.batches.ledger import Disposition, batches, settle
from deepchecks_telemetry.spool.states import BatchState
from deepchecks_telemetry.spool.consent import resource as environment
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.recording import record as recording
from deepchecks_telemetry.spool.batches.seal import seal
from deepchecks_telemetry.spool.db.compaction import compact
from deepchecks_telemetry.spool.db.connection import opened
home = find_home()
usual = environment.current()
def count(runtime, *names):
    environment.current = lambda: usual._replace(runtime=runtime)
    recording.close()
    for name in names:
        assert record(name)
def render(installation, rows):
    return json.dumps([[row.uid, row.event, row.count] for row in rows]).encode()
for number, state in enumerate(("delivered", "parked", "exported", None)):
    for runtime in ("ci", "colab", "kaggle"):
        count(runtime, *["run-check", "run-suite", "package-import"] * (3 + number))
    assert seal(home, render)
    (batch,) = batches(home, states=("sealed",))
    if state:
        assert settle(home, batch, Disposition(BatchState(state), state))
for runtime in ("ci", "colab", "kaggle"):
    count(runtime, *["run-check", "suite-to-wandb"] * 40)
with opened(home) as connection:
    compact(home, connection)
for runtime in ("ci", "colab", "kaggle"):
    count(runtime, *["run-check", "package-import", "suite-to-wandb"] * 50)
with opened(home) as connection:
    connection.execute("DELETE FROM origin")  # so that a copy does not count as a copy
"""

# Records in the directory that a line of its input names until there is a file to stop it; logs the time and result of
# each attempt.
RECORD = """
import os, sys, time
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.recording.record import close
name = sys.argv[1]
while order := sys.stdin.readline().split():
    directory, log_path, limit = order
    os.environ["DEEPCHECKS_TELEMETRY_DIR"] = directory
    with open(log_path, "w") as log:
        for _ in range(int(limit)):
            begun = time.monotonic()
            stored = record(name)
            print(begun, time.monotonic() - begun, int(stored), file=log, flush=True)
            if os.path.exists(log_path + ".stop"):
                break
    if os.name == "nt":  # there nothing is recovered while a program has the file open: see test_damage_held.py
        close()
    print("done", flush=True)
"""
NAMES = ("check-to-html", "suite-to-html", "suite-to-json")


class Try(NamedTuple):
    """One call of `record`: when it began, how long it took, and its result."""

    begun: float
    took_s: float
    stored: bool


class Recorder:
    """A process that records in a given directory; the last of them, the visitor, starts after the damage."""

    def __init__(self, name: str) -> None:
        command = [sys.executable, "-c", RECORD, name]
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self, home: Path, limit: int = 1_000_000) -> None:
        self.log = home.with_suffix(f".{self.name}")
        self.log.unlink(missing_ok=True)
        assert self.process.stdin is not None
        print(home, self.log, limit, file=self.process.stdin, flush=True)

    def tries(self) -> list[Try]:
        if not self.log.exists():
            return []
        lines = self.log.read_text("ascii").split("\n")[:-1]
        return [Try(float(begun), float(took), stored == "1") for begun, took, stored in map(str.split, lines)]

    def stop(self) -> None:
        stop = self.log.with_name(self.log.name + ".stop")
        stop.touch()
        self.wait()
        stop.unlink()

    def wait(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "done\n"

    def end(self) -> None:
        with self.process:
            self.process.kill()


@pytest.fixture
def recorders() -> Iterator[list[Recorder]]:
    processes = [Recorder(name) for name in NAMES]
    yield processes
    for recorder in processes:
        recorder.end()


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """The directory of a spool with everything in it."""
    folder = tmp_path / "full"
    done = subprocess.run(
        [sys.executable, "-c", FILL],
        env=os.environ | {"DEEPCHECKS_TELEMETRY_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / "state" / "spool.db-wal").stat().st_size > 10 * PAGE
    return folder


Damage = Callable[[Path, random.Random], float | None]  # returns for how long acknowledged events can be lost


def _overwrite(path: Path, octets: bytes) -> None:
    """Overwrite in place, so that the file keeps its inode, as with a disk error."""
    with path.open("r+b") as file:
        file.truncate(0)
        file.write(octets)


def flip_bits(path: Path, chance: random.Random) -> None:
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        for _ in range(chance.choice((1, 1, 5, 50))):
            offset = chance.randrange(size)
            file.seek(offset)
            octet = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([octet ^ 1 << chance.randrange(8)]))


def cut(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(path.stat().st_size))


def zero_pages(path: Path, chance: random.Random) -> None:
    with path.open("r+b") as file:
        for _ in range(chance.choice((1, 1, 3, 10))):
            file.seek(PAGE * chance.randrange(-(-os.fstat(file.fileno()).st_size // PAGE)))
            file.write(b"\0" * PAGE)


def swap_pages(path: Path, chance: random.Random) -> None:
    with path.open("r+b") as file:
        one, other = (PAGE * chance.randrange(os.fstat(file.fileno()).st_size // PAGE) for _ in range(2))
        pages = []
        for offset in (one, other):
            file.seek(offset)
            pages.append(file.read(PAGE))
        for offset, page in zip((other, one), pages, strict=True):
            file.seek(offset)
            file.write(page)


def garbage(path: Path, chance: random.Random) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(chance.randbytes(chance.choice((40, 5000, max(size, 40)))))


def put_text(path: Path, chance: random.Random) -> None:
    _overwrite(path, b"Dear diary,\n" * chance.randrange(1, 2000))


def empty(path: Path, chance: random.Random) -> None:
    os.truncate(path, 0)


def put_other_database(path: Path, chance: random.Random) -> float | None:
    other = path.with_name("other")
    with contextlib.closing(sqlite3.connect(other, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {chance.choice((512, 1024, 4096))}")
        connection.execute("CREATE TABLE photographs (title TEXT)")
        connection.executemany("INSERT INTO photographs VALUES (?)", [("sunset" * 20,)] * chance.randrange(100))
    octets = other.read_bytes()
    other.unlink()
    if chance.random() < 0.5 or os.name == "nt":  # Windows does not replace a file that a program has open
        _overwrite(path, octets)
        return None
    other.write_bytes(octets)
    other.chmod(0o600)
    other.replace(path)  # events of the old file are lost until the last lease has ended
    return GRACE_S


DATABASE: tuple[Damage, ...] = (
    *(flip_bits, cut, zero_pages, swap_pages, garbage, put_text, empty, put_other_database),
)
WAL: tuple[Damage, ...] = (flip_bits, cut, zero_pages, swap_pages, garbage, empty)
CASES = [*((name, "spool.db") for name in DATABASE), *((name, "spool.db-wal") for name in WAL)]


MARKS: list[bytes] = []


def read_marks(full: Path) -> None:
    """Read what must not remain after `disable`: the identifier and the uids of the damaged spool."""
    with contextlib.closing(sqlite3.connect(shutil.copytree(full, full.with_name("copy")) / "state/spool.db")) as copy:
        MARKS[:] = [
            mark.encode() for (mark,) in copy.execute("SELECT uid FROM rows UNION SELECT installation FROM spool")
        ]
    assert len(MARKS) > 10


def last_stored(recorder: Recorder) -> float:
    return max((attempt.begun for attempt in recorder.tries() if attempt.stored), default=0.0)


def test_recording_continues_after_any_damage_and_losses_are_reported(
    tmp_path: Path,
    full: Path,
    recorders: list[Recorder],
    in_full: bool,
    wait_until: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(maintenance, "SETTLED_S", 0.05)  # nobody records while the accounts are read
    read_marks(full)
    seeds = 1000 if in_full else 42
    outcomes: Counter[str] = Counter()
    begun = time.monotonic()
    for seed in range(seeds):
        chance = random.Random(SEED + seed)
        damage, name = CASES[seed % len(CASES)]
        home = tmp_path / f"{seed}"
        shutil.copytree(full, home)
        try:
            outcomes[run_round(home, damage, home / "state" / name, recorders, chance, wait_until)] += 1
        except BaseException:
            print(f"\nseed {seed}: {damage.__name__} of {name}")
            raise
        shutil.rmtree(home)
    summary = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    print(f"\ndamage campaign: {seeds} seeds in {time.monotonic() - begun:.0f} s: {summary}")


def run_round(
    home: Path,
    damage: Damage,
    path: Path,
    recorders: list[Recorder],
    chance: random.Random,
    wait_until: Callable[..., None],
) -> str:
    *crowd, visitor = recorders
    crowd = crowd[: chance.randrange(3)]
    spool = find_home({"DEEPCHECKS_TELEMETRY_DIR": str(home)})
    for recorder in crowd:
        recorder.start(home)
    for recorder in crowd:
        wait_until(lambda recorder=recorder: len(recorder.tries()) > 20)
    grace_s = damage_file(path, damage, chance, wait_until) or 0.0
    done = time.monotonic() + grace_s
    visitor.start(home, 20)
    visitor.wait()
    for recorder in crowd:
        wait_until(lambda recorder=recorder: last_stored(recorder) > done + 0.03)
        recorder.stop()
    for recorder in (*crowd, visitor):
        refused = [attempt for attempt in recorder.tries() if attempt.begun > done and not attempt.stored]
        # Either one attempt that was running when its lease on the old file ended, or those within a back-off, which
        # starts at the end of the attempt that failed: under Wine that took 0.56 s.
        first_s = refused[0].took_s if refused and os.name == "nt" else 0.0
        waited_s = refused[-1].begun - refused[0].begun - first_s if refused else 0.0
        assert waited_s <= BACKOFF_S + 0.1, f"{recorder.name} did not continue to record"
    if chance.random() < 0.25:
        erase(spool)
        assert find_residue(spool, MARKS) == (len(os.listdir(spool.state)) + 1, [])
        assert not [name for name in os.listdir(spool.state) if name.startswith("spool.db.")]
        return "wiped by disable"
    return check(spool, done, [*crowd, visitor], silent=path.name.endswith("-wal") or damage is swap_pages)


def damage_file(path: Path, damage: Damage, chance: random.Random, wait_until: Callable[..., None]) -> float | None:
    """Damage a file; a second time if a checkpoint of the crowd has emptied the WAL meanwhile."""
    for _ in range(100):
        wait_until(lambda: path.stat().st_size >= PAGE)
        with contextlib.suppress(ValueError, IndexError):  # no offset or no byte in an empty file
            return damage(path, chance)
    raise AssertionError("the file was empty a hundred times")


def acknowledged(recorder: Recorder, since: float) -> int:
    return sum(attempt.stored for attempt in recorder.tries() if attempt.begun > since)


def check(spool: Home, done: float, recorders: list[Recorder], *, silent: bool) -> str:
    copies = len(quarantined(spool)) + len(find_replaced(spool))
    accounts = read_accounts(spool)
    kept = (
        accounts.pending
        + accounts.sealed
        + accounts.parked
        + accounts.delivered
        + accounts.exported
        + accounts.rejected
    )
    stored: Counter[str] = Counter()
    for waiting in read_unsent(spool):
        stored[waiting.event] += waiting.count
    missing = {recorder.name: max(0, acknowledged(recorder, done) - stored[recorder.name]) for recorder in recorders}
    assert missing[recorders[-1].name] == 0 or silent, "the visitor opened the spool after the damage"
    assert sum(missing.values()) <= UNNOTICED, f"{missing} of {stored}"
    findings = {finding.name: finding for finding in examine(spool)}
    wrong = {name for name, finding in findings.items() if finding.level == WRONG}
    assert accounts.balance == 0 or "conservation" in wrong
    assert wrong <= {"conservation", "integrity"}
    lost = FULL + sum(attempt.stored for recorder in recorders for attempt in recorder.tries()) - kept
    dropped = accounts.dropped.get("damage", 0)
    # `silent`: SQLite ignores everything after a broken frame of a WAL, so the accounts are consistent but those of an
    # earlier time. It also does not detect a page that was swapped with a page of an intact tree.
    reported = dropped or wrong or "unreadable file" in findings
    assert reported or silent or (lost <= 0 and not any(missing.values())), f"{lost} lost, {missing}, unreported"
    if "conservation" in wrong or "integrity" in wrong:
        return "reported by doctor, not repaired"
    if not copies:
        return "an earlier state" if lost > 0 else "harmless"
    if "unreadable file" in findings:
        return "detected, nothing recovered"
    return "detected, all recovered" if not dropped else "detected, partly recovered"
