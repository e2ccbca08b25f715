"""A host whose signal handler raises while it records: Ctrl-C in a notebook, an alarm used as a timeout.

    python -m ... KeyboardInterrupt|TimeoutError|Stop kill|disable INTERRUPTS

Each exception has to reach the host. Afterwards records are stored, forks work and nothing is left open; then the
process is killed, or `deepchecks telemetry disable` is run beside it.
"""

import builtins
import os
import random
import signal
import subprocess
import sys

from tests.campaigns.hosts.program import Journal, descriptors, fork, run_host, wait

WRITE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
connection.execute("BEGIN IMMEDIATE")
connection.execute("ROLLBACK")
connection.close()
"""
SPOOL = os.path.join(os.environ["DEEPCHECKS_TELEMETRY_DIR"], "state", "spool.db")
DISABLE = [sys.executable, "-m", "deepchecks_telemetry.cli", "telemetry", "disable", "--json"]


# On CPython 3.10 one of some 50,000 alarms did not reach the handler; very probably it arrived while the interpreter
# cleared the flag of the one before, and stays pending until the next. So the timer rings again.
AGAIN_S = 0.05


class Stop(Exception):
    """A host's own exception."""


class Alarm:
    """Raises out of the handler of a timer, and counts how often."""

    def __init__(self, exception: type[BaseException]) -> None:
        self.exception = exception
        self.raised = 0
        signal.signal(signal.SIGALRM, self.ring)

    def ring(self, *_: object) -> None:
        """Handle the signal."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.raised += 1
        raise self.exception


def main(journal: Journal, exception: str, end: str, interrupts: str) -> None:
    """Interrupt, check that records and forks work, and end."""
    alarm = Alarm(getattr(builtins, exception, Stop))
    journal.record(1)
    before = descriptors()
    arrived = sum(interrupt(journal, alarm) for _ in range(int(interrupts)))
    journal.count("raised", alarm.raised)
    journal.count("swallowed", alarm.raised - arrived)
    journal.count("refused_afterwards", 20 - journal.record(20))
    wait(journal, fork(journal, lambda: journal.record(5)))
    journal.record(1)
    journal.count("leaked_descriptors", descriptors() - before)
    subprocess.run([sys.executable, "-c", WRITE, SPOOL], check=True, timeout=30)
    journal.write()
    if end == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    done = subprocess.run(DISABLE, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert journal.record(5) == 0, "recorded after disable"


def interrupt(journal: Journal, alarm: Alarm) -> bool:
    """Whether the exception of an alarm arrived. The next record is stored; every second time it is interrupted too."""
    try:
        record_until(journal, alarm)
    except alarm.exception:
        if alarm.raised % 2:
            journal.count("refused_next", not journal.once())
        return True
    return False


def record_until(journal: Journal, alarm: Alarm) -> None:
    """Record until the alarm rings. A separate function, because a `try` does not cover the last jump of its loop."""
    before = alarm.raised
    signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, 0.003), AGAIN_S)
    while alarm.raised == before:
        journal.unmeasured()  # a Stopwatch opens a file, which an exception would leave to the garbage collector


if __name__ == "__main__":
    run_host(main)
