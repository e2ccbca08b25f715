"""Writes pending counts to files that a person can carry, with exactly the bytes that would be sent.

A file is OTLP JSON lines, one request per line, which the OpenTelemetry Collector's file receiver can read. It is
written under a temporary name, fsynced and renamed; only then are its batches marked as exported.
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
from deepchecks_telemetry.spool.consent.decision import LOCAL, ON
from deepchecks_telemetry.spool.files.atomic import BY_UMASK, replace_file
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.regular import read_plain
from deepchecks_telemetry.spool.states import UNSETTLED, BatchState
from deepchecks_telemetry.uploader.errors import CannotWrite, NotAllowed
from deepchecks_telemetry.uploader.plan.facts import check_mode
from deepchecks_telemetry.uploader.wire import outcome
from deepchecks_telemetry.uploader.wire.causes import NO_FOLDER
from deepchecks_telemetry.uploader.wire.otlp import render
from deepchecks_telemetry.uploader.wire.outcome import Outcome

PREFIX, SUFFIX = "deepchecks-telemetry-", ".jsonl"
NAME_DIGITS = 16  # hexadecimal digits of the SHA-256 in the file name: enough to detect damage on a disk


@dataclass(frozen=True, slots=True)
class Exported:
    """One complete file, its batches, and the number of their events."""

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
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[Exported]:
    """Write what is pending to `path`, a directory or a file `….jsonl`; one `Exported` for each complete file.

    With `split_bytes` a file is not longer than that, unless a single batch is; with `again`, batches that were
    exported and are not settled are written again. `progress` is called with 1 after each batch that is sealed, which
    takes most of the time. Raises `NotAllowed`, `CannotWrite`, or the spool's errors.
    """
    _check_path(path)
    check_mode(home, ON, LOCAL)
    if not os.path.exists(home.spool):
        return
    with hold(home.upload_lock, lock_s):
        looked = False
        while seal(home, render, while_unsent=True, already_checked=looked, clock=clock):
            looked = True
            progress(1)
        states = UNSETTLED if again else (BatchState.SEALED, BatchState.PARKED)
        chosen = [batch for batch in batches(home, states=states) if not park_if_damaged(home, batch)]
        for number, group in enumerate(pack(chosen, split_bytes), 1):
            content = _content(group)
            target = _target(path, content, number)
            _write(home, target, content)
            mark_exported(home, group, clock=clock)
            ids, events = tuple(batch.id for batch in group), sum(batch.events for batch in group)
            yield Exported(target, hashlib.sha256(content).hexdigest(), len(content), ids, events)


def _check_path(path: str) -> None:
    """Before anything is sealed: a directory that is missing (a disk not mounted) must not become a file."""
    if os.path.isdir(path):
        return
    if not path.endswith(SUFFIX):
        raise CannotWrite(f'there is no directory "{path}", and the name of an export file must end in {SUFFIX}')
    directory = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(directory):
        raise CannotWrite(f'there is no directory "{directory}"')


def deposit(home: Home, batch: Batch, folder: str, endpoint: str | None = None) -> Outcome:
    """Write one batch to a shared directory: this is how it is sent to an endpoint `file:///DIR`."""
    content = _content([batch])
    target = os.path.join(folder, _file_name(content))
    try:
        _write(home, target, content)
    except CannotWrite:
        return Outcome(outcome.RETRY, NO_FOLDER)
    mark_exported(home, [batch], endpoint)
    return Outcome(outcome.EXPORTED, "exported")


def pack(chosen: Sequence[Batch], split_bytes: int | None) -> list[list[Batch]]:
    """Group the batches in their order, as many per file as fit; a batch is one request and is never split."""
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


def _file_name(content: bytes) -> str:
    return f"{PREFIX}{hashlib.sha256(content).hexdigest()[:NAME_DIGITS]}{SUFFIX}"


def _target(path: str, content: bytes, number: int) -> str:
    """In a directory, name the file by its content, so that machines can share the directory and damage is detected."""
    path = os.path.abspath(path)
    if os.path.isdir(path):
        return os.path.join(path, _file_name(content))
    stem, suffix = os.path.splitext(path)
    return path if number == 1 else f"{stem}-{number}{suffix}"


def _write(home: Home, target: str, content: bytes) -> None:
    check_mode(home, ON, LOCAL)  # under `upload.lock`: a `disable` writes its choice, then waits for this lock
    digest = hashlib.sha256(content).hexdigest()
    export = Export(target, f"{target}.{os.urandom(6).hex()}.part", digest)
    try:
        exists = os.path.exists(target)
        if exists and read_plain(target, len(content)) != content:
            raise CannotWrite(f"the file {target} already exists with other content")
        if not register_export(home, export):
            raise NotAllowed("telemetry was disabled while the export was running")
        if not exists:
            # With the permissions of the umask, because another user's collector may read a shared directory.
            replace_file(target, content, permissions=BY_UMASK, temporary=export.part)
    except OSError as error:
        with suppress(OSError):
            os.unlink(export.part)
        raise CannotWrite(f"the file {target} cannot be written ({error.strerror or type(error).__name__})") from error
