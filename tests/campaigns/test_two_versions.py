"""Two versions, the wheels of an earlier commit and of the current one, share a spool, also during a migration."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial, reduce
from pathlib import Path

import pytest

from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.db.schema import SCHEMA_VERSION
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.residue import find_residue
from deepchecks_telemetry.spool.stats import read_accounts, read_unsent
from deepchecks_telemetry.spool.wipe import erase

pytestmark = pytest.mark.timeout(1200)
EARLIER = "e88976f"  # spool schema 1000, before any table was added
ROOT = Path(__file__).parents[2]
RECORD = """
import sys
from deepchecks_telemetry.spool import record
for _ in range(int(sys.argv[2])):
    if record(sys.argv[1]):
        print(1, flush=True)
"""
# The names in that version.
EARLIER_NAMES = {
    "batches.ledger import Disposition,": "ledger import Verdict as Disposition,",
    "files.paths": "paths",
    "batches.seal": "sealing",
    "from deepchecks_telemetry.spool.states import BatchState\n": "",
    "BatchState.DELIVERED": '"delivered"',
}
SEAL = """
import sys
from deepchecks_telemetry.spool.batches.ledger import Disposition, batches, settle
from deepchecks_telemetry.spool.states import BatchState
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.batches.seal import seal
home = find_home()
for _ in range(int(sys.argv[1])):
    seal(home, lambda installation, rows: repr(rows).encode())
    for batch in batches(home, states=("sealed",)):
        if settle(home, batch, Disposition(BatchState.DELIVERED, "test")):  # otherwise the other version was faster
            print(batch.events, flush=True)
"""


SEAL_EARLIER = reduce(lambda code, names: code.replace(*names), EARLIER_NAMES.items(), SEAL)


def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, timeout=60)


def build(source: Path, folder: Path) -> str:
    """The Python of a new virtual environment with the wheel of this source."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(source)]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"pip cannot install on this machine: {done.stderr[-300:]}")
    return python


@pytest.fixture(scope="module")
def pythons(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The interpreters of two environments, with the earlier version and with the current one."""
    if git("cat-file", "-e", f"{EARLIER}^{{commit}}").returncode:
        pytest.skip(f"commit {EARLIER} is not in the history of this clone (or there is no git)")
    folder = tmp_path_factory.mktemp("versions")
    (folder / "source").mkdir()
    archive = git("archive", "--format=tar", EARLIER).stdout
    subprocess.run(["tar", "-x", "-C", str(folder / "source")], input=archive, check=True, timeout=60)
    return build(folder / "source", folder / "earlier"), build(ROOT, folder / "current")


class Running:
    """A running script of one version, outside of the checkout; its output goes to a file."""

    def __init__(self, folder: Path, python: str, code: str, *arguments: str) -> None:
        self.path = folder / f"{len(list(folder.iterdir()))}.out"
        with self.path.open("w") as out:
            command = [python, "-c", code, *arguments]
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True, cwd=folder)

    def result(self) -> int:
        """Wait for the end of the script, and return the sum of the printed numbers."""
        _, errors = self.process.communicate(timeout=300)
        assert (self.process.returncode, errors) == (0, "")
        return sum(map(int, self.path.read_text().split()))


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts a script with arguments."""
    return partial(Running, tmp_path)


def counts(spool: Home) -> Counter[str]:
    events: Counter[str] = Counter()
    for waiting in read_unsent(spool):
        events[waiting.event] += waiting.count
    return events


def version(spool: Home) -> int:
    with opened(spool) as connection:
        (number,) = connection.execute("PRAGMA user_version").fetchone()
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return int(number)


def test_two_versions_in_turns_lose_nothing_during_the_migration(
    spool: Home, pythons: tuple[str, str], start: Start
) -> None:
    earlier, current = pythons
    stored, sent = Counter[str](), 0
    for turn, (python, name) in enumerate(((earlier, "run-check"), (current, "run-suite")) * 3):
        stored[name] += start(python, RECORD, name, "50").result()
        if turn == 1:
            assert version(spool) == 1000  # the host of the current version has recorded without a migration
        if turn > 1:
            sent += start(python, SEAL_EARLIER if python == earlier else SEAL, "1").result()
    assert version(spool) == SCHEMA_VERSION
    assert stored == {"run-check": 150, "run-suite": 150}
    accounts = read_accounts(spool)
    assert (accounts.recorded, accounts.delivered, accounts.pending, accounts.dropped, accounts.balance) == (
        300,
        sent,
        300 - sent,
        {},
        0,
    )


def test_the_earlier_version_can_use_a_current_spool(spool: Home, pythons: tuple[str, str], start: Start) -> None:
    earlier, current = pythons
    assert start(current, RECORD, "run-suite", "20").result() == 20
    assert start(earlier, RECORD, "run-check", "20").result() == 20
    assert counts(spool) == {"run-check": 20, "run-suite": 20}


def test_two_versions_record_and_seal_concurrently_during_the_migration(
    spool: Home, pythons: tuple[str, str], start: Start, in_full: bool, wait_until: Callable[..., None]
) -> None:
    earlier, current = pythons
    records, rounds = ("20000", "150") if in_full else ("2500", "15")
    assert start(earlier, RECORD, "package-import", "10").result() == 10
    # Started one after the other, because the earlier version continued half open if it met a lock while opening.
    crowd = ((earlier, "run-check"), (current, "run-suite"), (earlier, "check-to-html"), (current, "suite-to-html"))
    writers = []
    for python, name in crowd:
        writers.append(start(python, RECORD, name, records))
        wait_until(lambda: writers[-1].path.stat().st_size)
    sealers = [start(earlier, SEAL_EARLIER, rounds), start(current, SEAL, rounds)]
    acknowledged = sum(writer.result() for writer in writers) + 10
    sent = sum(sealer.result() for sealer in sealers)
    accounts = read_accounts(spool)
    dropped = sum(accounts.dropped.values())
    assert accounts.balance == 0
    assert accounts.pending + accounts.delivered == acknowledged
    assert accounts.delivered == sent
    assert version(spool) == SCHEMA_VERSION
    print(f"\ntwo versions: {acknowledged} acknowledged, {sent} of them sent meanwhile, {dropped} dropped for a lock")


def test_disable_by_the_current_version_stops_the_earlier_one(
    spool: Home,
    pythons: tuple[str, str],
    start: Start,
    wait_until: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DEEPCHECKS_TELEMETRY")
    earlier, _ = pythons
    assert start(earlier, RECORD, "run-check", "20").result() == 20
    writer = start(earlier, RECORD, "run-check", "30000")
    wait_until(lambda: writer.path.stat().st_size)
    mark = str(read_accounts(spool).installation_id).encode()
    erase(spool)
    writer.result()
    assert start(earlier, RECORD, "run-check", "20").result() == 0
    assert read_accounts(spool).recorded == 0
    assert find_residue(spool, [mark])[1] == []
