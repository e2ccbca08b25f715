"""Two versions: an earlier commit's wheel and today's share a spool in turns and at once, through a migration too."""

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
from deepchecks_telemetry.spool.stats import read_accounts, read_unsent
from deepchecks_telemetry.spool.wipe import erase, find_residue

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
# Where these were in that version.
EARLIER_NAMES = {
    "batches.ledger import Disposition,": "ledger import Verdict as Disposition,",
    "files.paths": "paths",
    "batches.seal": "sealing",
    "from deepchecks_telemetry.spool.db.schema import BatchState\n": "",
    "BatchState.DELIVERED": '"delivered"',
}
SEAL = """
import sys
from deepchecks_telemetry.spool.batches.ledger import Disposition, batches, settle
from deepchecks_telemetry.spool.db.schema import BatchState
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.batches.seal import seal
home = find_home()
for _ in range(int(sys.argv[1])):
    seal(home, lambda installation, rows: repr(rows).encode())
    for batch in batches(home, states=("sealed",)):
        if settle(home, batch, Disposition(BatchState.DELIVERED, "told")):  # else the other version was faster
            print(batch.events, flush=True)
"""


SEAL_EARLIER = reduce(lambda code, names: code.replace(*names), EARLIER_NAMES.items(), SEAL)


def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, timeout=60)


def build(source: Path, folder: Path) -> str:
    """A virtual environment with the wheel of this source, and nothing else of ours."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(source)]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"pip cannot install here: {done.stderr[-300:]}")
    return python


@pytest.fixture(scope="module")
def pythons(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The interpreters of two environments: with the earlier version, and with today's."""
    if git("cat-file", "-e", f"{EARLIER}^{{commit}}").returncode:
        pytest.skip(f"commit {EARLIER} is not in the history of this clone (or there is no git)")
    folder = tmp_path_factory.mktemp("versions")
    (folder / "source").mkdir()
    archive = git("archive", "--format=tar", EARLIER).stdout
    subprocess.run(["tar", "-x", "-C", str(folder / "source")], input=archive, check=True, timeout=60)
    return build(folder / "source", folder / "earlier"), build(ROOT, folder / "today")


class Running:
    """A script of one version at work, away from the sources of the other; what it prints goes to a file."""

    def __init__(self, folder: Path, python: str, code: str, *arguments: str) -> None:
        self.path = folder / f"{len(list(folder.iterdir()))}.out"
        with self.path.open("w") as out:
            command = [python, "-c", code, *arguments]
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True, cwd=folder)

    def told(self) -> int:
        """The sum of what it printed, once it has ended."""
        _, errors = self.process.communicate(timeout=300)
        assert (self.process.returncode, errors) == (0, "")
        return sum(map(int, self.path.read_text().split()))


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start a script with these arguments."""
    return partial(Running, tmp_path)


def counts(ours: Home) -> Counter[str]:
    found: Counter[str] = Counter()
    for waiting in read_unsent(ours):
        found[waiting.event] += waiting.count
    return found


def version(ours: Home) -> int:
    with opened(ours) as connection:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return int(found)


def test_they_take_turns_through_the_migration(ours: Home, pythons: tuple[str, str], start: Start) -> None:
    earlier, today = pythons
    stored, sent = Counter[str](), 0
    for turn, (python, name) in enumerate(((earlier, "run-check"), (today, "run-suite")) * 3):
        stored[name] += start(python, RECORD, name, "50").told()
        if turn == 1:
            assert version(ours) == 1000  # the host of today has recorded, and changed nothing
        if turn > 1:
            sent += start(python, SEAL_EARLIER if python == earlier else SEAL, "1").told()
    assert version(ours) == SCHEMA_VERSION
    assert stored == {"run-check": 150, "run-suite": 150}
    books = read_accounts(ours)
    assert (books.recorded, books.delivered, books.pending, books.dropped, books.balance) == (
        300,
        sent,
        300 - sent,
        {},
        0,
    )


def test_a_spool_of_today_is_used_by_the_earlier_version(ours: Home, pythons: tuple[str, str], start: Start) -> None:
    earlier, today = pythons
    assert start(today, RECORD, "run-suite", "20").told() == 20
    assert start(earlier, RECORD, "run-check", "20").told() == 20
    assert counts(ours) == {"run-check": 20, "run-suite": 20}


def test_they_record_and_seal_at_once_while_it_is_migrated(
    ours: Home, pythons: tuple[str, str], start: Start, in_full: bool, until: Callable[..., None]
) -> None:
    earlier, today = pythons
    most, turns = ("20000", "150") if in_full else ("2500", "15")
    assert start(earlier, RECORD, "package-import", "10").told() == 10
    # One after the other at first: the earlier version, met by a lock while it opened, went on half open.
    crowd = ((earlier, "run-check"), (today, "run-suite"), (earlier, "check-to-html"), (today, "suite-to-html"))
    writers = []
    for python, name in crowd:
        writers.append(start(python, RECORD, name, most))
        until(lambda: writers[-1].path.stat().st_size)
    sealers = [start(earlier, SEAL_EARLIER, turns), start(today, SEAL, turns)]
    acknowledged = sum(writer.told() for writer in writers) + 10
    sent = sum(sealer.told() for sealer in sealers)
    books = read_accounts(ours)
    dropped = sum(books.dropped.values())
    assert books.balance == 0
    assert books.pending + books.delivered == acknowledged
    assert books.delivered == sent
    assert version(ours) == SCHEMA_VERSION
    print(f"\ntwo versions: {acknowledged} acknowledged, {sent} of them sent meanwhile, {dropped} dropped for a lock")


def test_disable_by_today_silences_the_earlier_version(
    ours: Home, pythons: tuple[str, str], start: Start, until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DEEPCHECKS_TELEMETRY")
    earlier, _ = pythons
    assert start(earlier, RECORD, "run-check", "20").told() == 20
    writer = start(earlier, RECORD, "run-check", "30000")
    until(lambda: writer.path.stat().st_size)
    mark = str(read_accounts(ours).installation_id).encode()
    erase(ours)
    writer.told()
    assert start(earlier, RECORD, "run-check", "20").told() == 0
    assert read_accounts(ours).recorded == 0
    assert find_residue(ours, [mark])[1] == []
