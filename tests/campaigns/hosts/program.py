"""Helpers of host programs: each process counts its records in a journal, independent of the code under test."""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module


class Clock:
    """The real clock: attributes of a class, because freezegun replaces the functions that a module names."""

    now = staticmethod(time.perf_counter)
    sleep = staticmethod(time.sleep)


class Stopwatch:
    """Measures a call, without the time for which this thread could run and the machine had other work."""

    def __init__(self) -> None:
        self._delayed_s = self._read_delay()
        self._begun = Clock.now()

    def ms(self) -> float:
        """Milliseconds since it was made."""
        elapsed_s = Clock.now() - self._begun
        return 1000 * (elapsed_s - (self._read_delay() - self._delayed_s))

    @staticmethod
    def _read_delay() -> float:
        with open("/proc/thread-self/schedstat", "rb", buffering=0) as file:
            return int(file.read().split()[1]) / 1e9


class Journal:
    """The attempts, acknowledgements and slowest call of one process; a forked child starts with an empty journal."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._name = f"{self._pid}-{os.urandom(4).hex()}"  # two PID namespaces give the same pid twice
        self.attempted: list[None] = []  # appending to a list is atomic, `+= 1` is not
        self.acknowledged: list[None] = []
        self.failures: list[str] = []
        self.facts: dict[str, float] = {}
        self.slowest_ms = 0.0

    def record(self, times: int = 1) -> int:
        """Record so many events; return how many were acknowledged."""
        return sum(self.once() for _ in range(times))

    def once(self) -> bool:
        """Record one event, and measure it; an import that comes first is not part of it."""
        self._notice_fork()
        if not _is_loaded("deepchecks_telemetry.spool"):  # in a signal handler Python 3.10's import lock can hang
            import_module("deepchecks_telemetry.spool")
        watch = Stopwatch()
        stored = self.unmeasured()
        self.slowest_ms = max(self.slowest_ms, watch.ms())
        return stored

    def unmeasured(self) -> bool:
        """Record one event. The attempt is counted before it, the acknowledgement after it."""
        # Imported each time: a reloader may have removed the module since.
        from deepchecks_telemetry.spool import record

        self.attempted.append(None)
        stored = record("run-check")
        if stored:
            self.acknowledged.append(None)
        return stored

    def count(self, name: str, value: float = 1) -> None:
        """Add to one of the facts that the test looks at."""
        self._notice_fork()
        self.facts[name] = self.facts.get(name, 0) + value

    def write(self) -> None:
        """Write all of it to a file of this process, which replaces the one before."""
        self._notice_fork()
        while self._write_file() < len(self.attempted):
            pass  # another thread has gone on meanwhile, and perhaps written its newer page before this one

    def _write_file(self) -> int:
        attempted = len(self.attempted)
        page = {
            "attempted": attempted,
            "acknowledged": len(self.acknowledged),
            "slowest_ms": self.slowest_ms,
            "facts": self.facts,
            "failures": self.failures,
        }
        path = os.path.join(os.environ["HOST_JOURNALS"], self._name)
        draft = f"{path}.{os.urandom(4).hex()}"
        with open(draft, "w", encoding="utf-8") as file:
            json.dump(page, file)
        os.replace(draft, path + ".json")
        return attempted

    def _notice_fork(self) -> None:
        if os.getpid() != self._pid:
            self._begin()


def _is_loaded(name: str) -> bool:
    """Whether a module is there, and no other thread is still importing it."""
    module = sys.modules.get(name)
    return module is not None and not getattr(module.__spec__, "_initializing", False)


def run_host(main: Callable[..., None]) -> None:
    """Run a host program on its arguments; its journal is written however it ends."""
    journal = Journal()
    try:
        main(journal, *sys.argv[1:])
    except BaseException:
        journal.failures.append(traceback.format_exc())
        raise
    finally:
        journal.write()


def fork(journal: Journal, child: Callable[[], object]) -> int:
    """Fork; the child does its work, writes its journal and exits without finalizing the interpreter."""
    pid = os.fork()
    if pid:
        return pid
    try:
        child()
    except BaseException:  # noqa: BLE001 - it is in the journal
        journal.failures.append(traceback.format_exc())
    finally:
        journal.write()
        os._exit(0)


def wait(journal: Journal, pid: int, timeout_s: float = 5.0) -> None:
    """Wait for a child; one that hangs is killed and counted."""
    deadline = Clock.now() + timeout_s
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if Clock.now() > deadline:
            journal.count("hung")
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            return
        Clock.sleep(0.0005)


def descriptors() -> int:
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd")) - 1  # one of them is the listing's own
