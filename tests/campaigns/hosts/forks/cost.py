"""Compares the forks of two hosts that take turns: one records before each fork, the other never imports us.

python -m ... FORKS               the comparison
python -m ... host with|without   one of the hosts: a fork for each line that it reads
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.campaigns.hosts.program import Clock, Journal, run_host

MEMORY_MB = 100  # a fork copies page tables: a host that has imported deepchecks holds 350 MB, a bare Python 8


def main(journal: Journal, *arguments: str) -> None:
    """Be one of the hosts, or compare them."""
    if arguments[0] == "host":
        serve(journal, with_us=arguments[1] == "with")
    else:
        compare(journal, int(arguments[0]))


def serve(journal: Journal, *, with_us: bool) -> None:
    """Fork for each line of the standard input, and print how many milliseconds it took."""
    memory = [bytearray(4096) for _ in range(MEMORY_MB * 256)]
    for _ in sys.stdin:
        if with_us:
            journal.record(3)
        print(fork_ms(), flush=True)
    del memory


def fork_ms() -> float:
    """How long a fork and the end of its child take."""
    begun = Clock.now()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return (Clock.now() - begun) * 1000


def compare(journal: Journal, forks: int) -> None:
    """Let the hosts take turns, and report the median and the slowest fork of each."""
    with host("with") as ours, host("without") as other:
        times_ms = [(ask(ours), ask(other)) for _ in range(forks)]
    for how, taken_ms in zip(("with", "without"), zip(*times_ms, strict=True), strict=True):
        journal.count(f"median_ms_{how}", statistics.median(taken_ms))
        journal.count(f"slowest_ms_{how}", max(taken_ms))


@contextmanager
def host(how: str) -> Iterator["subprocess.Popen[str]"]:
    """One of the hosts, until the end of its standard input."""
    command = [sys.executable, "-m", __spec__.name, "host", how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.communicate(timeout=30)
    assert process.returncode == 0


def ask(process: "subprocess.Popen[str]") -> float:
    """Let a host fork once."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("fork\n")
    process.stdin.flush()
    return float(process.stdout.readline())


if __name__ == "__main__":
    run_host(main)
