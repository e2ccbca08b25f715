"""The file descriptors that SQLite opened for the spool: marked, checked before each write, closed without harm.

A host may close descriptors that are not its own (daemons close all of them) and open files under the same numbers;
SQLite would then write database pages into the host's file (sqlite.org/howtocorrupt.html, 2.2). So each descriptor gets
a mark that a file of the host's cannot have: a random file offset, which SQLite never uses because it reads and writes
with pread and pwrite. Reading three offsets back costs 1 µs, comparing three `fstat` results 4 µs.
"""

import os
import sqlite3
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import repeat
from typing import NamedTuple

from deepchecks_telemetry.spool.errors import Unusable, raise_if_hosts
from deepchecks_telemetry.spool.files.regular import SIDE_SUFFIXES

FIRST_NUMBER = 256  # SQLite's numbers begin here: after a host has closed everything, its next files get low numbers
LISTING = "/dev/fd"
MAX_FILES = 3  # the database, its WAL and its shared memory; with a rollback journal only the first stays open
UNLISTED = range(3, 1024)  # where that directory is missing

SPARE_NUMBERS = 16  # left below the limit of open files, for SQLite and for other threads

_fillers: list[int] = []
_replaced: set[int] = set()  # the numbers of the connection that is being closed at which /dev/null is by now


class Descriptors(NamedTuple):
    """The numbers of SQLite's open files, and the offset that each of them is at.

    On a network file system there is no WAL, and the database stands for all three.
    """

    database: int
    wal: int
    shm: int
    mark: int

    @property
    def numbers(self) -> frozenset[int]:
        """Each of them once."""
        return frozenset(self[:3])

    def are_ours(self) -> bool:
        """Whether every descriptor still belongs to SQLite's open file."""
        return all(_offset(number) == self.mark for number in self.numbers)


@contextmanager
def high_numbers() -> Iterator[None]:
    """Occupy the descriptors below `FIRST_NUMBER` for a moment, so that files opened meanwhile get higher ones."""
    _close_left_fillers()
    try:
        _fill()
        yield
    finally:
        _close_fillers()


def _close_fillers() -> None:
    deque(map(os.close, _fillers), maxlen=0)  # in one call, too
    _fillers.clear()


def _close_left_fillers() -> None:
    """Close what an exception left of them; they may be closed already, and their numbers files of the host's."""
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
    return frozenset(number for number in listed if _stat(number))


def mark(database: str, before: frozenset[int]) -> Descriptors:
    """Find the files of `database` among the descriptors opened since `before`, and mark them.

    Raises `Unusable` where the database's own is not among them: it could not be protected.
    """
    offset = 2**30 + int.from_bytes(os.urandom(3), "big")
    numbers = _find(database, before)
    for number in numbers:
        os.lseek(number, offset, os.SEEK_SET)
    return Descriptors(numbers[0], numbers[len(numbers) // 2], numbers[-1], offset)


def close(connection: sqlite3.Connection, cursor: sqlite3.Cursor, descriptors: Descriptors) -> bool:
    """Close a connection without a system call on the spool or on a file of the host's; False where that is impossible.

    Closed the usual way the last connection checkpoints (two fsyncs) and deletes the WAL; in a forked child that would
    be the parent's. So its descriptors are replaced by /dev/null, opened for reading, on which SQLite's exclusive lock
    fails; it then frees its memory and leaves the files as a process leaves them that was killed.

    It is impossible where the host has a file of its own under one of the numbers: then the connection must stay open
    for ever, and SQLite, which keeps one state for all connections to a file, cannot use the spool in this process.

    An exception may interrupt it anywhere; called again it goes on, and a connection that is closed already is fine.
    """
    try:
        cursor.close()  # one whose statement has failed would hold the connection open
        if connection.in_transaction:
            if not descriptors.are_ours():
                return False
            connection.execute("ROLLBACK")
        if any(_is_the_hosts(number, descriptors.mark) for number in descriptors.numbers) or not _replace(descriptors):
            return False
        connection.close()
    except sqlite3.ProgrammingError:
        _replaced.clear()  # it is closed
    except (OSError, sqlite3.Error) as error:  # the limit of open files is reached, or the disk does not answer
        raise_if_hosts(error)
        return False
    _replaced.clear()
    return True


def _is_the_hosts(number: int, offset: int) -> bool:
    return _stat(number) is not None and _offset(number) != offset and number not in _replaced


def _offset(number: int) -> int | None:
    try:
        return os.lseek(number, 0, os.SEEK_CUR)
    except OSError as error:
        raise_if_hosts(error)
        return None


def _stat(number: int) -> os.stat_result | None:
    try:
        return os.fstat(number)
    except OSError as error:
        raise_if_hosts(error)
        return None


def _is_null(number: int) -> bool:
    found = _stat(number)
    return found is not None and os.path.samestat(found, os.stat(os.devnull))


def _stat_path(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError as error:
        raise_if_hosts(error)
        return None


def _names(database: str) -> Iterator[str]:
    return (database + suffix for suffix in ("", *SIDE_SUFFIXES))


def _is_one_of(number: int, files: list[os.stat_result]) -> bool:
    found = _stat(number)
    return found is not None and any(os.path.samestat(found, file) for file in files)


if sys.platform == "win32":  # SQLite has handles there, not descriptors: one of our own stands for them

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
            # In one call, in which no signal handler can raise: each of them is in the list.
            _fillers.extend(map(os.dup, repeat(_fillers[0], FIRST_NUMBER - _fillers[0])))
            _fillers.append(
                fcntl.fcntl(_fillers[0], fcntl.F_DUPFD_CLOEXEC, FIRST_NUMBER + SPARE_NUMBERS)
            )  # is there room above?
        except OSError as error:  # the limit of this process is lower: the numbers are as high as they get
            raise_if_hosts(error)
            for _ in range(min(SPARE_NUMBERS, len(_fillers))):
                os.close(_fillers.pop())

    def _find(database: str, before: frozenset[int]) -> list[int]:
        files = [found for found in map(_stat_path, _names(database)) if found]
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
        got = fcntl.fcntl(null, fcntl.F_DUPFD_CLOEXEC, number)  # never takes a number that is in use
        if got != number:
            os.close(got)
        return got == number
