"""Kill campaign: whatever is killed at whatever moment, what was acknowledged is stored, and nothing else is."""

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from deepchecks_telemetry.spool.batches.ledger import batches
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.stats import read_accounts, read_unsent

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL"),
    pytest.mark.timeout(3600),
]
SEED = 20_240
# A writer is told from the others by the runtime that it believes to be in.
PLACES = {
    "kaggle": "KAGGLE_KERNEL_RUN_TYPE",
    "databricks": "DATABRICKS_RUNTIME_VERSION",
    "sagemaker": "SM_TRAINING_ENV",
    "colab": "COLAB_RELEASE_TAG",
    "ci": "CI",
}

# The oracle knows an attempt before it is made and an acknowledgement only after it was given.
WRITE = """
import os, random, sys
from deepchecks_telemetry.spool import record
oracle = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
def note(word):
    os.write(oracle, word.encode())
    os.fdatasync(oracle)
print("ready", flush=True)
while True:
    name = random.choice(["run-check", "run-suite", "package-import"])
    note("attempted " + name + "\\n")
    if record(name):
        note("stored " + name + "\\n")
"""

# Seals, and parks at once, so that the next batch gets its turn; folds and checkpoints like a busy host.
KEEP = """
import json, random
from contextlib import suppress
from deepchecks_telemetry.spool.errors import SpoolError
from deepchecks_telemetry.spool.batches.ledger import Disposition, batches, settle
from deepchecks_telemetry.spool.db.schema import BatchState
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.batches.seal import seal
from deepchecks_telemetry.spool.db.compaction import compact
from deepchecks_telemetry.spool.db.connection import opened
home = find_home()
def render(installation, rows):
    return json.dumps([[row.uid, row.event, row.environment.runtime, row.count] for row in rows]).encode()
print("ready", flush=True)
while True:
    with suppress(SpoolError, FileNotFoundError):
        for _ in range(random.randrange(30)):
            with opened(home) as connection:
                compact(home, connection)
        seal(home, render)
        for batch in batches(home, states=("sealed",)):
            settle(home, batch, Disposition(BatchState.PARKED, "told"))
"""


class Victim:
    """One place in the campaign: a process that is killed and started again."""

    def __init__(self, command: list[str], variables: dict[str, str]) -> None:
        self.command, self.environ = command, os.environ | variables
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, env=self.environ, stdout=subprocess.PIPE, text=True)
        self.came_so_far = False

    def ready(self) -> None:
        if not self.came_so_far:
            assert self.process.stdout is not None
            assert self.process.stdout.readline() == "ready\n"
            self.came_so_far = True

    def kill(self) -> None:
        self.process.kill()
        with self.process:
            assert self.process.wait(timeout=30) == -signal.SIGKILL, "it ended by itself"


class Told(NamedTuple):
    """What a writer's oracle says."""

    attempted: Counter[tuple[str, str]]
    acknowledged: Counter[tuple[str, str]]


def read_oracles(folder: Path) -> Told:
    told = Told(Counter(), Counter())
    for path in folder.iterdir():
        for line in path.read_text("ascii").splitlines():
            word, name = line.split()
            (told.attempted if word == "attempted" else told.acknowledged)[path.name, name] += 1
    return told


def check(ours: Home, oracles: Path) -> Told:
    """acknowledged ⊆ stored ⊆ attempted, nothing twice, the file sound, the books balanced. Nobody may be at work."""
    told = read_oracles(oracles)
    stored: Counter[tuple[str, str]] = Counter()
    for waiting in read_unsent(ours):
        stored[waiting.environment.runtime, waiting.event] += waiting.count
    for key in told.attempted | stored:
        assert told.acknowledged[key] <= stored[key] <= told.attempted[key], key
    with opened(ours) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        sealed = connection.execute("SELECT uid, count FROM rows").fetchall()
    sent = [row for batch in batches(ours) for row in json.loads(batch.body)]
    assert sorted((uid, count) for uid, *_, count in sent) == sorted(sealed)
    assert len({uid for uid, *_ in sent}) == len(sent)
    assert read_accounts(ours).balance == 0
    return told


def test_what_was_acknowledged_is_stored_and_nothing_is_stored_that_was_not_attempted(
    ours: Home, tmp_path: Path, pythons: "list[tuple[str, str]]", in_full: bool
) -> None:
    chance = random.Random(SEED)
    oracles = tmp_path / "oracles"
    oracles.mkdir()
    kills, rounds = (2400, 8) if in_full else (60, 2)
    victims: list[Victim] = []
    begun = time.monotonic()
    for turn in range(rounds):
        for number, (place, variable) in enumerate(PLACES.items()):
            python, first = pythons[number % len(pythons)]
            victims.append(Victim([python, "-c", first + WRITE, str(oracles / place)], {variable: "1"}))
        victims.extend(Victim([python, "-c", first + KEEP], {}) for python, first in pythons[-2:])
        try:
            kill_some(victims, kills // rounds, chance)
        finally:
            while victims:
                with suppress(AssertionError):
                    victims.pop().kill()
        told = check(ours, oracles)
        assert told.acknowledged.total() > 10 * (turn + 1)
    books = read_accounts(ours)
    print(
        f"\nkill campaign: {kills} kills in {time.monotonic() - begun:.0f} s, {len(pythons)} environments; "
        f"{told.attempted.total()} attempted, {told.acknowledged.total()} acknowledged, {books.recorded} stored "
        f"({books.sealed} sealed in {books.batches} batches), dropped {books.dropped}"
    )


def kill_some(victims: list[Victim], kills: int, chance: random.Random) -> None:
    for _ in range(kills):
        victim = chance.choice(victims)
        if chance.random() < 0.9:  # else it is killed wherever it is, importing or opening
            victim.ready()
        time.sleep(chance.random() * 0.03)
        victim.kill()
        victim.start()
