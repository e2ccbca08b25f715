"""Kill campaign: processes are killed at any time; each acknowledged event is stored, and no unattempted one."""

import json
import os
import random
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.campaigns.conftest import KILLED

from deepchecks_telemetry.spool.batches.ledger import batches
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.stats import read_accounts, read_unsent

pytestmark = pytest.mark.timeout(3600)
SEED = 20_240
# Writers are distinguished by their runtime, which a variable determines.
RUNTIMES = {
    "kaggle": "KAGGLE_KERNEL_RUN_TYPE",
    "databricks": "DATABRICKS_RUNTIME_VERSION",
    "sagemaker": "SM_TRAINING_ENV",
    "colab": "COLAB_RELEASE_TAG",
    "ci": "CI",
}

# The log has an attempt before it is made, and an acknowledgement after it was given.
WRITE = """
import os, random, sys
from deepchecks_telemetry.spool import record
sync = getattr(os, "fdatasync", os.fsync)
log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
def note(word):
    os.write(log, word.encode())
    sync(log)
print("ready", flush=True)
while True:
    name = random.choice(["run-check", "run-suite", "package-import"])
    note("attempted " + name + "\\n")
    if record(name):
        note("stored " + name + "\\n")
"""

# Seals batches and parks them immediately, so that more can be sealed; folds and checkpoints like a busy host.
MAINTAIN = """
import json, random
from contextlib import suppress
from deepchecks_telemetry.spool.errors import SpoolError
from deepchecks_telemetry.spool.batches.ledger import Disposition, batches, settle
from deepchecks_telemetry.spool.states import BatchState
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
            settle(home, batch, Disposition(BatchState.PARKED, "test"))
"""


class Victim:
    """A process that is killed and started again."""

    def __init__(self, command: list[str], variables: dict[str, str]) -> None:
        self.command, self.environ = command, os.environ | variables
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, env=self.environ, stdout=subprocess.PIPE, text=True)
        self.is_ready = False

    def wait_until_ready(self) -> None:
        if not self.is_ready:
            assert self.process.stdout is not None
            assert self.process.stdout.readline() == "ready\n"
            self.is_ready = True

    def kill(self) -> None:
        self.process.kill()
        with self.process:
            assert self.process.wait(timeout=30) == KILLED, "the process ended before it was killed"


class Log(NamedTuple):
    """The numbers of attempted and acknowledged events by runtime and name."""

    attempted: Counter[tuple[str, str]]
    acknowledged: Counter[tuple[str, str]]


def read_logs(folder: Path) -> Log:
    log = Log(Counter(), Counter())
    for path in folder.iterdir():
        for line in path.read_text("ascii").splitlines():
            word, name = line.split()
            (log.attempted if word == "attempted" else log.acknowledged)[path.name, name] += 1
    return log


def check(spool: Home, logs: Path) -> Log:
    """acknowledged ⊆ stored ⊆ attempted, nothing twice, file intact, accounts balanced. No process may be running."""
    log = read_logs(logs)
    stored: Counter[tuple[str, str]] = Counter()
    for waiting in read_unsent(spool):
        stored[waiting.environment.runtime, waiting.event] += waiting.count
    for key in log.attempted | stored:
        assert log.acknowledged[key] <= stored[key] <= log.attempted[key], key
    with opened(spool) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        sealed = connection.execute("SELECT uid, count FROM rows").fetchall()
    sent = [row for batch in batches(spool) for row in json.loads(batch.body)]
    assert sorted((uid, count) for uid, *_, count in sent) == sorted(sealed)
    assert len({uid for uid, *_ in sent}) == len(sent)
    assert read_accounts(spool).balance == 0
    return log


def test_what_was_acknowledged_is_stored_and_nothing_is_stored_that_was_not_attempted(
    spool: Home, tmp_path: Path, pythons: "list[tuple[str, str]]", in_full: bool
) -> None:
    chance = random.Random(SEED)
    logs = tmp_path / "logs"
    logs.mkdir()
    kills, rounds = (2400, 8) if in_full else (60, 2)
    victims: list[Victim] = []
    begun = time.monotonic()
    for turn in range(rounds):
        for number, (runtime, variable) in enumerate(RUNTIMES.items()):
            python, first = pythons[number % len(pythons)]
            victims.append(Victim([python, "-c", first + WRITE, str(logs / runtime)], {variable: "1"}))
        victims.extend(Victim([python, "-c", first + MAINTAIN], {}) for python, first in pythons[-2:])
        try:
            kill_at_random(victims, kills // rounds, chance)
        finally:
            while victims:
                with suppress(AssertionError):
                    victims.pop().kill()
        log = check(spool, logs)
        assert log.acknowledged.total() > 10 * (turn + 1)
    accounts = read_accounts(spool)
    print(
        f"\nkill campaign: {kills} kills in {time.monotonic() - begun:.0f} s, {len(pythons)} environments; "
        f"{log.attempted.total()} attempted, {log.acknowledged.total()} acknowledged, {accounts.recorded} stored "
        f"({accounts.sealed} sealed in {accounts.batches} batches), dropped {accounts.dropped}"
    )


def kill_at_random(victims: list[Victim], kills: int, chance: random.Random) -> None:
    for _ in range(kills):
        victim = chance.choice(victims)
        if chance.random() < 0.9:  # otherwise it may be killed while it imports or opens the spool
            victim.wait_until_ready()
        time.sleep(chance.random() * 0.03)
        victim.kill()
        victim.start()
