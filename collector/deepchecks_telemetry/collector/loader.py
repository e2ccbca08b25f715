"""Courier files become rows as requests do: each line is an OTLP request in JSON, and a file read twice counts once.

A courier file is what `export` of ours, the OpenTelemetry Collector's file exporter, or a folder endpoint wrote.
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

MAX_LINE_BYTES = 8 * 2**20  # as much as the endpoint takes
MOST_TOLD = 1_000  # problems; a file can hold a wrong line for every other byte
ENDINGS = (".jsonl", ".json")


class Loaded(NamedTuple):
    """What was found: rows that are `new` or `repeated`, records that were `refused`, what was not kept, in words."""

    files: int
    new: int
    repeated: int
    refused: int
    problems: tuple[str, ...]
    wrong_lines: int = 0


def load(store: Path, paths: Sequence[Path], *, today: Callable[[], date] = utc_today) -> Loaded:
    """Take courier files, and those in folders, into a store that no collector serves now."""
    files = [file for path in paths for file in _files(path)]
    new = repeated = refused = wrong = 0
    problems: list[str] = []
    with closing(Store(store)) as opened:
        for file in files:
            for number, line in _lines(file):
                decoded = _decoded(line, today())
                added = opened.append(decoded.rows, received=today()) if decoded.rows else 0
                new, repeated = new + added, repeated + len(decoded.rows) - added
                refused += decoded.rejected
                wrong += bool(decoded.message)
                if decoded.message and wrong <= MOST_TOLD:
                    problems.append(f"{file.name}, line {number}: {decoded.message}")
    return Loaded(len(files), new, repeated, refused, tuple(problems), wrong)


def _decoded(line: bytes, today: date) -> Decoded:
    """What a line holds; of one that is no request nothing but why."""
    try:
        return read(parse_json(line), today=today)
    except RequestError as error:
        return Decoded((), 0, str(error))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    # Hidden ones are being written: they get their name when they are whole.
    return sorted(
        file for file in path.rglob("*") if file.suffix in ENDINGS and file.is_file() and not file.name.startswith(".")
    )


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Number the lines; one that is longer than a request may be is refused by its first part."""
    try:
        with open(file, "rb", opener=_open_at_once) as opened:
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


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a FIFO would keep us waiting for a writer
