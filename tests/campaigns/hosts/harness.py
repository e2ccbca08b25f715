"""Runs host programs, each under a supervisor, on one spool, beside a control process and other programs."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.campaigns.hosts.oracle import Totals, audit

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[2]
SLOWEST_MS = 150  # a record waits at most 100 ms for others; the rest is what a machine with other work may take
FAULTS = ("Exception ignored", "Traceback", "unclosed database")  # not even in a host that prints by itself
WARNINGS = "ignore,default::ResourceWarning"  # not those of others: of a fork beside threads, of eventlet about itself


class Control:
    """A process beside the hosts that shows how long this machine keeps any process waiting."""

    def __init__(self, folder: Path) -> None:
        self.report = folder / "control"
        command = [sys.executable, str(HERE / "control.py"), str(folder / "control.db"), str(self.report)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def slowest_ms(self) -> float:
        """End it, and read what it measured."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.communicate(timeout=30)
        return float(self.report.read_text())


class Harness:
    """Runs host programs on one spool, each under a supervisor."""

    def __init__(self, home: Path, folder: Path, control: Control) -> None:
        self.spool = home / "state" / "spool.db"
        self.folder, self.control = folder, control
        self.journals = folder / "journals"
        self.journals.mkdir()
        own = {"HOST_JOURNALS": str(self.journals), "HOST_FOLDER": str(folder), "PYTHONFAULTHANDLER": "1"}
        self.environ = os.environ | own | {"PYTHONWARNINGS": WARNINGS}

    def run(
        self,
        program: str,
        *arguments: object,
        before: tuple[str, ...] = (),
        timeout_s: int = 60,
        talks: bool = False,
        status: int = 0,
    ) -> None:
        """Run `python -m` one of our programs: it, and all of its descendants, end in time and print nothing."""
        report = self.folder / "report"
        host = [*before, sys.executable, "-m", f"tests.campaigns.hosts.{program}", *map(str, arguments)]
        command = [sys.executable, str(HERE / "supervisor.py"), str(report), str(timeout_s), *host]
        with (self.folder / "output").open("w+") as output:
            subprocess.run(command, cwd=CHECKOUT, env=self.environ, stdout=output, stderr=output, check=True)
            output.seek(0)
            printed = output.read()[-3000:]
        ended = json.loads(report.read_text())
        assert ended == {"status": status, "hung": []}, f"{ended}\n{printed}"
        assert not [fault for fault in FAULTS if fault in printed], printed
        assert talks or printed == "", f"it printed:\n{printed}"

    def clear(self) -> None:
        """Remove the spool and the choice of the hosts before: the next one begins as on a new machine."""
        shutil.rmtree(self.spool.parents[1], ignore_errors=True)

    @contextmanager
    def beside(self, what: str) -> Iterator[None]:
        """Let another program hold a lock on the spool, which is made first."""
        if not self.spool.exists():
            self.run("once", 1)
        command = [sys.executable, str(HERE / "neighbour.py"), str(self.spool), what]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as neighbour:
            assert neighbour.stdout is not None
            assert neighbour.stdout.readline() == "ready\n"
            yield
            neighbour.communicate(timeout=30)
        assert neighbour.returncode == 0

    def audit(self, *, wiped: bool = False) -> Totals:
        """Ask the oracle, once all hosts have ended."""
        self.stalled_ms = self.control.slowest_ms()
        totals = audit(self.spool, self.journals, wiped=wiped)
        name = os.environ["PYTEST_CURRENT_TEST"].split("::")[-1].split(" ")[0]
        print(f"\n{name}: {totals} (a control: {self.stalled_ms:.0f} ms)")
        assert totals.facts.get("hung", 0) == 0, "children hung"
        return totals

    def check_speed(self, totals: Totals) -> None:
        """Hold the slowest record, and the slowest fork where it was measured, to the bound."""
        slowest = (totals.slowest_ms, totals.facts.get("slowest_fork_ms", 0))
        assert max(slowest) <= SLOWEST_MS + self.stalled_ms, f"a record or a fork took too long: {totals}"
