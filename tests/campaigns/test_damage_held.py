"""Damage campaign with idle programs: four keep the damaged spool open, as notebooks do, which Windows does not rename.

The events that are acknowledged after the damage are counted outside the spool: none is lost, and none counts twice.
"""

import contextlib
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.campaigns.test_damage import cut, empty, garbage, put_text

from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.files.residue import find_residue
from deepchecks_telemetry.spool.recording.writer import BACKOFF_S
from deepchecks_telemetry.spool.stats import read_accounts, read_unsent
from deepchecks_telemetry.spool.wipe import erase

pytestmark = pytest.mark.timeout(3600)
SEED = 71_000
DAMAGES = (put_text, empty, garbage, cut)
BEFORE, AFTER, NEW = "suite-to-json", "suite-to-html", "check-to-html"  # what programs record before and after it

# For each line with a directory, an event and a number, records it so often, and prints how many were acknowledged.
PROGRAM = """
import os, sys
from deepchecks_telemetry.spool import record
for line in sys.stdin:
    os.environ["DEEPCHECKS_TELEMETRY_DIR"], name, times = line.rstrip().split("|")
    print(sum(record(name) for _ in range(int(times))), flush=True)
"""


class Program:
    """A program that keeps the spool open between two requests to record."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=pipe, stdout=pipe, text=True)

    def record(self, home: Path, name: str, times: int) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(home, name, times, sep="|", file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    """Five of them: four have the spool open before it is damaged, the last opens it afterwards."""
    started = [Program() for _ in range(5)]
    yield started
    for program in started:
        with program.process:
            program.process.kill()


def test_counting_continues_while_four_programs_have_the_damaged_spool_open(
    tmp_path: Path, programs: list[Program], in_full: bool
) -> None:
    total: Counter[str] = Counter()
    rounds = 200 if in_full else 16
    for number in range(rounds):
        home = tmp_path / str(number)
        chance = random.Random(SEED + number)
        total.update(run_round(home, DAMAGES[number % len(DAMAGES)], programs, chance, wiped=number % 8 >= 4))
    print(f"\ndamage campaign with idle programs: {rounds} rounds: {dict(total)}, 0 lost, 0 twice")


def run_round(
    home: Path,
    damage: Callable[[Path, random.Random], object],
    programs: list[Program],
    chance: random.Random,
    *,
    wiped: bool,
) -> dict[str, int]:
    *idle, visitor = programs
    spool = find_home({"DEEPCHECKS_TELEMETRY_DIR": str(home)})
    for program in idle:
        assert program.record(home, BEFORE, 5) == 5
    markers = checkpoint(spool)
    damage(Path(spool.spool), chance)
    acknowledged = Counter({NEW: visitor.record(home, NEW, 20)})
    assert acknowledged[NEW], f"{damage.__name__}: recording did not continue"
    if wiped:
        assert erase(spool).left == ()
        assert find_residue(spool, markers)[1] == []
        assert [program.record(home, AFTER, 1) for program in programs] == [0] * 5
        assert find_residue(spool, markers)[1] == []
        return {"wiped": 1}
    time.sleep(BACKOFF_S + 0.1)
    for program in programs:
        stored = program.record(home, AFTER, 5)
        assert stored == 5, f"{damage.__name__}: {stored} of 5"
        acknowledged[AFTER] += stored
    found: Counter[str] = Counter()
    for waiting in read_unsent(spool):
        found[waiting.event] += waiting.count
    assert {name: found[name] for name in acknowledged} == acknowledged
    assert read_accounts(spool).balance == 0
    return acknowledged


def checkpoint(spool: Home) -> list[bytes]:
    """Move everything into the database; returns what must not remain after `disable`."""
    with contextlib.closing(sqlite3.connect(spool.spool)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        return [installation.encode() for (installation,) in connection.execute("SELECT installation FROM spool")]
