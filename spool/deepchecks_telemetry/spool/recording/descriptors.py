"""SQLite never writes to a file of the host: its descriptors are marked, and checked before each write.

A host may close descriptors that are not its own (daemons close all of them) and open files under the same numbers;
SQLite would then write database pages into the host's file (sqlite.org/howtocorrupt.html, 2.2). So each descriptor gets
a mark that the host's files do not have: a random file offset, which SQLite does not use because it reads and writes
with pread and pwrite. Reading three offsets costs 1 µs, comparing three `fstat` results 4 µs.
"""

import os
import sqlite3
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import repeat

from deepchecks_telemetry.spool.errors import Unusable, raise_if_hosts
from deepchecks_telemetry.spool.files.regular import SIDE_SUFFIXES, status_of

FIRST_NUMBER = 256  # of SQLite's files; after a host has closed everything, its next files get low numbers
LISTING = "/dev/fd"
MAX_FILES = 3  # the database, its WAL and its shared memory; with a rollback journal only the first stays open
UNLISTED = range(3, 1024)  # used if that directory is missing
SPARE_NUMBERS = 16  # left below the limit of open files, for SQLite and for other threads

_fillers: list[int] = []
_replaced: set[int] = set()  # descriptors of the connection that is being closed that are /dev/null by now


class Descriptors:
    """The numbers of SQLite's open files, and the offset that marks them.

    On a network file system there is no WAL, and all three are the database's.
    """

    __slots__ = ("database", "mark", "numbers", "shm", "wal")

    def __init__(self, database: int, wal: int, shm: int, mark: int) -> None:
        self.database, self.wal, self.shm, self.mark = database, wal, shm, mark
        self.numbers = frozenset((database, wal, shm))

    def are_ours(self) -> bool:
        """Whether every descriptor still belongs to SQLite's open file."""
        return all(_offset(number) == self.mark for number in self.numbers)


@contextmanager
def high_numbers() -> Iterator[None]:
    """Occupy the descriptors below `FIRST_NUMBER`, so that files that are opened in the block get higher ones."""
    _close_leftover_fillers()
    try:
        _fill()
        yield
    finally:
        _close_fillers()


def _close_fillers() -> None:
    deque(map(os.close, _fillers), maxlen=0)  # one call, in which no signal handler can raise
    _fillers.clear()


def _close_leftover_fillers() -> None:
    """Close fillers that an exception left open; some may be closed already, and their numbers used by the host."""
    while _fillers:
        if _is_null(_fillers[-1]):
            os.close(_fillers[-1])
        _fillers.pop()


def open_numbers() -> frozenset[int]:
    """The descriptors that are open in this process."""
    try:
        listed: Iterable[int] = map(int, os.listdir(LISTING))
    except OSError as error:
        raise_if_hosts(error)
        listed = UNLISTED
    return frozenset(number for number in listed if status_of(number))


def mark(database: str, before: frozenset[int]) -> Descriptors:
    """Find the files of `database` among the descriptors opened since `before`, and mark them.

    Raises `Unusable` if the database is not among them, because it could not be protected.
    """
    offset = 2**30 + int.from_bytes(os.urandom(3), "big")
    numbers = _find(database, before)
    for number in numbers:
        os.lseek(number, offset, os.SEEK_SET)
    return Descriptors(numbers[0], numbers[len(numbers) // 2], numbers[-1], offset)


def close(connection: sqlite3.Connection, cursor: sqlite3.Cursor, descriptors: Descriptors) -> bool:
    """Close a connection without a system call on the spool or on a file of the host; False if that is impossible.

    A normal close of the last connection checkpoints (two fsyncs) and deletes the WAL, which in a forked child is the
    parent's. So the descriptors are first replaced by /dev/null, opened for reading, on which SQLite's exclusive lock
    fails. SQLite then frees its memory and leaves the files as a killed process would.

    It is impossible if the host has a file of its own under one of the numbers. The connection must then stay open for
    ever, and SQLite, which has one state for all connections to a file, cannot use the spool in this process.

    An exception may interrupt it anywhere; it can be called again, also for a connection that is closed already.
    """
    try:
        cursor.close()  # a cursor whose statement has failed would keep the connection open
        if connection.in_transaction:
            if not descriptors.are_ours():
                return False
            connection.execute("ROLLBACK")
        if any(_is_the_hosts(number, descriptors.mark) for number in descriptors.numbers) or not _replace(descriptors):
            return False
        connection.close()
    except sqlite3.ProgrammingError:
        _replaced.clear()  # the connection is closed already
    except (OSError, sqlite3.Error) as error:  # the limit of open files is reached, or the disk does not answer
        raise_if_hosts(error)
        return False
    _replaced.clear()
    return True


def _is_the_hosts(number: int, offset: int) -> bool:
    return status_of(number) is not None and _offset(number) != offset and number not in _replaced


def _offset(number: int) -> int | None:
    try:
        return os.lseek(number, 0, os.SEEK_CUR)
    except OSError as error:
        raise_if_hosts(error)
        return None


def _is_null(number: int) -> bool:
    status = status_of(number)
    return status is not None and os.path.samestat(status, os.stat(os.devnull))


def _is_one_of(number: int, files: list[os.stat_result]) -> bool:
    status = status_of(number)
    return status is not None and any(os.path.samestat(status, file) for file in files)


if sys.platform == "win32":  # SQLite uses handles there, not descriptors, so one descriptor of our own is marked

    def _fill() -> None:
        pass

    def _find(database: str, before: frozenset[int]) -> list[int]:  # noqa: ARG001
        return [os.open(database, os.O_RDONLY)]

    def _replace(descriptors: Descriptors) -> bool:
        os.close(descriptors.database)
        return True

else:
    import fcntl

    def _fill() -> None:
        try:
            _fillers.append(os.open(os.devnull, os.O_RDONLY))
            # One call, in which no signal handler can raise, so that every filler is in the list.
            _fillers.extend(map(os.dup, repeat(_fillers[0], FIRST_NUMBER - _fillers[0])))
            # Fails if there are fewer than `SPARE_NUMBERS` above.
            _fillers.append(fcntl.fcntl(_fillers[0], fcntl.F_DUPFD_CLOEXEC, FIRST_NUMBER + SPARE_NUMBERS))
        except OSError as error:  # the limit of this process is lower, so the numbers are as high as possible
            raise_if_hosts(error)
            for _ in range(min(SPARE_NUMBERS, len(_fillers))):
                os.close(_fillers.pop())

    def _find(database: str, before: frozenset[int]) -> list[int]:
        files = [status for suffix in ("", *SIDE_SUFFIXES) if (status := status_of(database + suffix))]
        numbers = sorted(open_numbers() - before, key=lambda number: _is_one_of(number, files[:1]), reverse=True)
        numbers = [number for number in numbers if _is_one_of(number, files)]
        if len(numbers) > MAX_FILES or not any(_is_one_of(number, files[:1]) for number in numbers):
            raise Unusable("the spool's file descriptors cannot be distinguished from the host's")
        return numbers

    def _replace(descriptors: Descriptors) -> bool:
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return all(_put(null, number, descriptors.mark) for number in descriptors.numbers if number != null)
        finally:
            if null not in descriptors.numbers:
                os.close(null)

    def _put(null: int, number: int, offset: int) -> bool:
        if number in _replaced and _offset(number) == 0:
            return True
        _replaced.add(number)
        if _offset(number) == offset:
            return os.dup2(null, number, inheritable=False) == number
        duplicate = fcntl.fcntl(null, fcntl.F_DUPFD_CLOEXEC, number)  # never takes a number that is in use
        if duplicate != number:
            os.close(duplicate)
        return duplicate == number
