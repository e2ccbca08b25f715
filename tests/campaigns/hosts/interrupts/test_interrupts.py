"""Hosts whose signal handlers raise or record at random moments: nothing is swallowed, left open or lost."""

import signal

import pytest
from tests.campaigns.hosts.harness import Harness


@pytest.mark.parametrize("end", ["kill", "disable"])
@pytest.mark.parametrize("exception", ["KeyboardInterrupt", "TimeoutError", "Stop"])
def test_an_exception_of_a_signal_handler_reaches_the_host_and_leaves_nothing_open(
    harness: Harness, in_full: bool, exception: str, end: str
) -> None:
    """Every exception arrives; the next record is stored and fast; another process can write; a kill loses nothing."""
    hosts, interrupts = (10, 200) if in_full else (2, 100)
    # An exception between `sqlite3.connect` and the assignment leaves a connection to the garbage collector.
    harness.environ["PYTHONWARNINGS"] = "ignore"
    for _ in range(hosts):
        if end == "disable":
            harness.clear()
        status = -signal.SIGKILL if end == "kill" else 0
        harness.run("interrupts.interrupted", exception, end, interrupts, status=status)
    totals = harness.audit(wiped=end == "disable")
    assert totals.facts["raised"] == hosts * interrupts
    # The standard library passes over an OSError, of which TimeoutError is one, inside `os.path.realpath` and its like.
    assert totals.facts["swallowed"] <= (0.05 * hosts * interrupts if exception == "TimeoutError" else 0)
    assert totals.facts["refused_next"] == 0
    assert totals.facts["refused_afterwards"] == 0
    # One that strikes between the system call that opens a file and the assignment of its number leaks that number.
    assert totals.facts["leaked_descriptors"] <= 0.02 * hosts * interrupts
    harness.check_speed(totals)


def test_a_record_in_a_signal_handler_never_waits_for_the_one_that_it_interrupted(
    harness: Harness, in_full: bool
) -> None:
    """No call takes long, whether it is stored or counted as dropped, and the host goes on."""
    harness.run("interrupts.reentrant", 10_000 if in_full else 1000, timeout_s=300)
    totals = harness.audit()
    assert totals.facts["handled"] >= 1000
    assert totals.facts["refused_afterwards"] == 0
    harness.check_speed(totals)
