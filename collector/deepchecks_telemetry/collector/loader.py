"""Loads exported files as if each line were an OTLP request in JSON; a file that is loaded twice counts once.

Such a file was written by `export`, by an endpoint `file:///DIR`, or by the OpenTelemetry Collector's file exporter.
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import NamedTuple

from deepchecks_telemetry.collector.errors import LoadError, RequestError
from deepchecks_telemetry.collector.otlp import Decoded, parse_json, read, utc_today
from deepchecks_telemetry.collector.store import Store

MAX_LINE_BYTES = 8 * 2**20  # as much as the server accepts, decompressed
MAX_PROBLEMS = 1_000  # that are reported; every second byte of a file can be a wrong line
ENDINGS = (".jsonl", ".json")


class Loaded(NamedTuple):
    """The number of files, of new and repeated rows, of rejected records and wrong lines, and the first problems."""

    files: int
    new: int
    repeated: int
    rejected: int
    problems: tuple[str, ...]
    wrong_lines: int = 0


def find_files(paths: Sequence[Path]) -> list[Path]:
    """The files, and all files in directories that can be loaded."""
    return [file for path in paths for file in _files(path)]


def load(
    store: Path,
    paths: Sequence[Path],
    *,
    today: Callable[[], date] = utc_today,
    progress: Callable[[int], None] = lambda _: None,
) -> Loaded:
    """Load files, and all files in directories, into a store that no collector is serving.

    Each line is committed on its own. `progress` is called with the bytes of each line after that.
    """
    files = find_files(paths)
    new = repeated = rejected = wrong = 0
    problems: list[str] = []
    with closing(Store(store)) as opened:
        for file in files:
            for number, line in _lines(file):
                decoded = _decoded(line, today())
                added = opened.append(decoded.rows, received=today()) if decoded.rows else 0
                new, repeated = new + added, repeated + len(decoded.rows) - added
                rejected += decoded.rejected
                wrong += bool(decoded.message)
                if decoded.message and wrong <= MAX_PROBLEMS:
                    problems.append(f"{file.name}, line {number}: {decoded.message}")
                progress(len(line))
    return Loaded(len(files), new, repeated, rejected, tuple(problems), wrong)


def _decoded(line: bytes, today: date) -> Decoded:
    """The rows of a line; a line that is not a request has none, and a message."""
    try:
        return read(parse_json(line), today=today)
    except RequestError as error:
        return Decoded((), 0, str(error))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    # Hidden files are incomplete: they are renamed when they are complete.
    return sorted(
        file for file in path.rglob("*") if file.suffix in ENDINGS and file.is_file() and not file.name.startswith(".")
    )


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """The lines with their numbers; raises `LoadError` for a line that is longer than a request may be."""
    try:
        with open(file, "rb", opener=_open_nonblocking) as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise LoadError(f"{file.name} is not a regular file. Name an exported file or a directory.")
            number = 0
            while line := opened.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    raise LoadError(
                        f"{file.name}, line {number} is longer than {MAX_LINE_BYTES} bytes. Split the file."
                    )
                if line.strip():
                    yield number, line
    except OSError as error:
        raise LoadError(
            f"{file.name} cannot be read ({error.strerror}). Name an exported file or a directory."
        ) from error


def _open_nonblocking(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # opening a FIFO would wait for a writer
