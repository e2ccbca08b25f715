"""What the host programs share: each process counts its own records in a book, apart from the code under test."""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable


class Book:
    """The attempts, acknowledgements and slowest call of one process; a forked child starts with an empty book."""

    # Attributes of a class, because freezegun replaces functions of `time` where a module names them.
    clock = staticmethod(time.perf_counter)
    sleep = staticmethod(time.sleep)

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._name = f"{self._pid}-{os.urandom(4).hex()}"  # two PID namespaces give the same pid twice
        self.attempted: list[None] = []  # appending to a list is atomic, `+= 1` is not
        self.acknowledged: list[None] = []
        self.failures: list[str] = []
        self.facts: dict[str, float] = {}
        self.slowest_s = 0.0

    def record(self, times: int = 1) -> int:
        """Record so many events; return how many were acknowledged."""
        return sum(self.once() for _ in range(times))

    def once(self) -> bool:
        """Record one event. The attempt is counted before it, the acknowledgement after it."""
        # Imported each time: a reloader may have removed the module since.
        from deepchecks_telemetry.spool import record

        self._notice_fork()
        self.attempted.append(None)
        begun = self.clock()
        try:
            stored = record("run-check")
        finally:
            self.slowest_s = max(self.slowest_s, self.clock() - begun)
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
        while self._write_page() < len(self.attempted):
            pass  # another thread has gone on meanwhile, and perhaps written its newer page before this one

    def _write_page(self) -> int:
        attempted = len(self.attempted)
        page = {
            "attempted": attempted,
            "acknowledged": len(self.acknowledged),
            "slowest_ms": self.slowest_s * 1000,
            "facts": self.facts,
            "failures": self.failures,
        }
        path = os.path.join(os.environ["HOST_BOOKS"], self._name)
        draft = f"{path}.{os.urandom(4).hex()}"
        with open(draft, "w", encoding="utf-8") as file:
            json.dump(page, file)
        os.replace(draft, path + ".json")
        return attempted

    def _notice_fork(self) -> None:
        if os.getpid() != self._pid:
            self._begin()


def play(main: Callable[..., None]) -> None:
    """Run a host program on its arguments; its book is written however it ends."""
    book = Book()
    try:
        main(book, *sys.argv[1:])
    except BaseException:
        book.failures.append(traceback.format_exc())
        raise
    finally:
        book.write()


def fork(book: Book, child: Callable[[], object]) -> int:
    """Fork; the child does its work, writes its book and is gone, without the cleaning up of an interpreter."""
    pid = os.fork()
    if pid:
        return pid
    try:
        child()
    except BaseException:  # noqa: BLE001 - it is in the book
        book.failures.append(traceback.format_exc())
    finally:
        book.write()
        os._exit(0)


def wait(book: Book, pid: int, timeout_s: float = 10.0) -> None:
    """Wait for a child; one that hangs is killed and counted."""
    deadline = book.clock() + timeout_s
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if book.clock() > deadline:
            book.count("hung")
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            return
        book.sleep(0.0005)


def descriptors() -> int:
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd")) - 1  # one of them is the listing's own
