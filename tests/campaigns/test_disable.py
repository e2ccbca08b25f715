"""Disable campaign: a `disable` that is killed has done nothing or is in effect, and the next one finishes it."""

import os
import random
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.campaigns.conftest import KILLED
from tests.spool.stored import Stored, stored

from deepchecks_telemetry.spool.consent.decision import read_source
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.files.residue import find_residue
from deepchecks_telemetry.spool.stats import Accounts, read_accounts
from deepchecks_telemetry.spool.wipe import erase

pytestmark = pytest.mark.timeout(3600)
SEED = 20_241
PAUSE_S = 0.3 if os.name == "nt" else 0.03  # under Wine a program needs longer to open the spool

# Fills a spool with batches in every state, prints all identifiers, and continues to record.
FILL = """
from deepchecks_telemetry.spool.batches.ledger import Disposition, batches, settle
from deepchecks_telemetry.spool.states import BatchState
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.seal import seal
home, identifiers = find_home(), []
def render(installation, rows):
    identifiers.extend([installation, *(row.uid for row in rows)])
    return repr(identifiers).encode()
for state in ("delivered", "parked", "exported", "sealed"):
    assert all(record(name) for name in ["run-check", "run-suite"] * 100)
    assert seal(home, render)
    assert settle(home, batches(home)[-1], Disposition(BatchState(state), "test"))
print(*identifiers, flush=True)
while True:
    record("suite-to-html")
"""
ERASE = """
from deepchecks_telemetry.spool.wipe import erase
from deepchecks_telemetry.spool.files.paths import find_home
print("ready", flush=True)
erase(find_home())
"""


def start(code: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def first_line(process: "subprocess.Popen[str]") -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


def end(process: "subprocess.Popen[str]") -> bool:
    """Kill a process; whether it was still running."""
    process.kill()
    with process:
        return process.wait(timeout=30) == KILLED


def test_a_killed_disable_is_finished_by_the_next(
    tmp_path: Path, in_full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DEEPCHECKS_TELEMETRY")
    chance = random.Random(SEED)
    killed: list[str] = []
    rounds = 250 if in_full else 8
    for number in range(rounds):
        monkeypatch.setenv("DEEPCHECKS_TELEMETRY_DIR", str(tmp_path / str(number)))
        host = start(FILL)
        try:
            markers = [word.encode() for word in first_line(host)]
            assert len(markers) > 8
            eraser = start(ERASE)
            first_line(eraser)
            time.sleep(chance.random() * 0.04)
            if end(eraser):
                killed.append(check_progress())
            erase(find_home())
            assert read_accounts(find_home()).recorded == 0
        finally:
            assert end(host)
        assert find_residue(find_home(), markers)[1] == []
    counts = {word: killed.count(word) for word in ("not begun", "chosen", "fenced", "wiped")}
    print(f"\ndisable campaign: {rounds} rounds, {len(killed)} killed part-way: {counts}")
    assert killed


def check_progress() -> str:
    """How far the killed `disable` got; the accounts are balanced after each step."""
    home = find_home()
    accounts = read_accounts(home)
    assert accounts.balance == 0
    with opened(home) as connection, closing(connection.execute("PRAGMA integrity_check")) as result:
        assert result.fetchall() == [("ok",)]
    if read_source("", home.mode).mode is None:
        assert not stored(home).closed
        assert accounts.recorded > 0
        return "not begun"
    assert os.path.exists(home.spool)
    if not stored(home).closed:
        return "chosen"
    return "fenced" if accounts.recorded else "wiped"


# Records as fast as it can, so that it is always about to open the spool when the choice changes. Beside two others
# that record as fast, its first event may be given up as busy.
RACE = """
import sys
from deepchecks_telemetry.spool import record
while not record("run-check"):
    pass
print("ready", flush=True)
while True:
    record("run-check")
"""


def test_a_hand_written_on_has_no_effect_after_the_next_disable(
    tmp_path: Path, in_full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a disable a person writes `on` by hand, programs are about to open the spool, and `disable` runs again."""
    monkeypatch.delenv("DEEPCHECKS_TELEMETRY")
    chance = random.Random(SEED)
    home = find_home()
    rounds = 300 if in_full else 15
    hosts = [start(RACE) for _ in range(3)]
    reopened = 0
    try:
        for host in hosts:
            first_line(host)
        for _ in range(rounds):
            erase(home)
            Path(home.mode).write_text(chance.choice(["on", "on\n", "local", " ON"]))
            time.sleep(chance.random() * PAUSE_S)
            erased = erase(home)
            reopened += erased.before.recorded > 0
            for _ in range(2):  # also after each program has checked twice
                assert (read_accounts(home), stored(home)) == (Accounts(), Stored(closed=True))
                assert (read_source("", home.mode).mode, find_residue(home, erased.markers)[1]) == ("off", [])
                time.sleep(0.02)
    finally:
        ended = [end(host) for host in hosts]
        assert all(ended)
    print(f"\nhand-written choices: {rounds} rounds, in {reopened} of them the spool had been opened again")
    assert reopened
