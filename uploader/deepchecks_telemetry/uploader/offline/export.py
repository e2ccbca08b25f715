"""Exporting: what waits is written to a file that a person can carry, in the bytes that would have been sent.

A file is OTLP JSON lines, one request a line, as the OpenTelemetry Collector's file receiver reads it. It is written
under another name, fsynced, and renamed, and only then its batches count as exported.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from deepchecks_telemetry.spool.batches.export_files import Export
from deepchecks_telemetry.spool.batches.exports import mark_exported, register_export
from deepchecks_telemetry.spool.batches.ledger import Batch, batches, park_if_damaged
from deepchecks_telemetry.spool.batches.seal import seal
from deepchecks_telemetry.spool.consent.decision import OFF, decide
from deepchecks_telemetry.spool.db.schema import UNSETTLED, BatchState
from deepchecks_telemetry.spool.files.atomic import BY_UMASK, replace_file
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.regular import read_plain
from deepchecks_telemetry.uploader.errors import CannotWrite, NotAllowed
from deepchecks_telemetry.uploader.plan.text import change_mode
from deepchecks_telemetry.uploader.wire import outcome
from deepchecks_telemetry.uploader.wire.causes import NO_FOLDER
from deepchecks_telemetry.uploader.wire.otlp import render
from deepchecks_telemetry.uploader.wire.outcome import Outcome

PREFIX, SUFFIX = "deepchecks-telemetry-", ".jsonl"
SHOWN = 16  # hexadecimal digits of a file's SHA-256 that stand in its name: enough against damage on a disk


@dataclass(frozen=True, slots=True)
class Exported:
    """One file: where it is, what is in it."""

    path: str
    sha256: str
    size_bytes: int
    batches: tuple[int, ...]
    events: int


def export(
    home: Home,
    path: str,
    *,
    split_bytes: int | None = None,
    again: bool = False,
    clock: Callable[[], float] = time.time,
    lock_s: float = 0.0,
) -> Iterator[Exported]:
    """Write what is pending to `path`, a directory or a file `….jsonl`; one `Exported` for each complete file.

    With `split_bytes` a file is no longer than that, but never less than one batch; with `again`, batches that were
    exported before and are not settled yet are written once more. Raises `NotAllowed`, `CannotWrite`, or the spool's.
    """
    _check_path(path)
    _check_mode(home)
    if not os.path.exists(home.spool):
        return
    with hold(home.upload_lock, lock_s):
        looked = False
        while seal(home, render, while_unsent=True, already_checked=looked, clock=clock):
            looked = True
        states = UNSETTLED if again else (BatchState.SEALED, BatchState.PARKED)
        chosen = [batch for batch in batches(home, states=states) if not park_if_damaged(home, batch)]
        for number, group in enumerate(pack(chosen, split_bytes), 1):
            content = _content(group)
            target = _name(path, content, number)
            _write(home, target, content)
            mark_exported(home, group, clock=clock)
            yield _exported(group, target, content)


def _check_path(path: str) -> None:
    """Before anything is sealed: a path that was meant as a directory, as of a disk that is not there, is no file's."""
    if os.path.isdir(path):
        return
    if not path.endswith(SUFFIX):
        raise CannotWrite(f'there is no directory "{path}", and the name of an export file must end in {SUFFIX}')
    directory = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(directory):
        raise CannotWrite(f'there is no directory "{directory}"')


def _check_mode(home: Home) -> None:
    decision = decide(home)
    if decision.mode == OFF:
        raise NotAllowed(f"telemetry is off, decided by {decision.decided_by}", change_mode(decision.decided_by))


def deposit(home: Home, batch: Batch, folder: str, endpoint: str | None = None) -> Outcome:
    """Put one batch into a shared folder: what the endpoint `file:///folder` means by sending."""
    content = _content([batch])
    target = os.path.join(folder, _own_name(content))
    try:
        _write(home, target, content)
    except CannotWrite:
        return Outcome(outcome.RETRY, NO_FOLDER)
    mark_exported(home, [batch], endpoint)
    return Outcome(outcome.EXPORTED, "exported")


def pack(chosen: Sequence[Batch], split_bytes: int | None) -> list[list[Batch]]:
    """Batches in their order, as many to a file as fit; a batch is one request, and is never cut."""
    groups: list[list[Batch]] = []
    size = 0
    for batch in chosen:
        more = len(batch.body) + 1
        if not groups or (split_bytes is not None and size + more > split_bytes):
            groups.append([])
            size = 0
        groups[-1].append(batch)
        size += more
    return groups


def _content(group: Sequence[Batch]) -> bytes:
    return b"".join(batch.body + b"\n" for batch in group)


def _own_name(content: bytes) -> str:
    return f"{PREFIX}{hashlib.sha256(content).hexdigest()[:SHOWN]}{SUFFIX}"


def _name(path: str, content: bytes, number: int) -> str:
    """In a folder a name of its own for each content: a hundred machines can share the folder, and damage shows."""
    path = os.path.abspath(path)
    if os.path.isdir(path):
        return os.path.join(path, _own_name(content))
    stem, suffix = os.path.splitext(path)
    return path if number == 1 else f"{stem}-{number}{suffix}"


def _write(home: Home, target: str, content: bytes) -> None:
    _check_mode(home)  # under `upload.lock`, for which a `disable` waits that has written its choice already
    digest = hashlib.sha256(content).hexdigest()
    export = Export(target, f"{target}.{os.urandom(6).hex()}.part", digest)
    try:
        there = _read(target, len(content))
        if there not in (None, content):
            raise CannotWrite(f"the file {target} already exists with other content")
        if not register_export(home, export):
            raise NotAllowed("telemetry was disabled while the export was running")
        if there is None:
            _write_whole(export, content)
    except OSError as error:
        with suppress(OSError):
            os.unlink(export.part)
        raise CannotWrite(f"the file {target} cannot be written ({error.strerror or type(error).__name__})") from error


def _read(path: str, most: int) -> bytes | None:
    try:
        return read_plain(path, most)
    except FileNotFoundError:
        return None


def _write_whole(export: Export, content: bytes) -> None:
    # By the caller's umask: a shared folder is read by somebody else's collector.
    replace_file(export.path, content, permissions=BY_UMASK, temporary=export.part)


def _exported(group: Sequence[Batch], target: str, content: bytes) -> Exported:
    return Exported(
        target,
        hashlib.sha256(content).hexdigest(),
        len(content),
        tuple(batch.id for batch in group),
        sum(batch.events for batch in group),
    )
