"""Writes and reads receipts: the digests and outcomes of delivered batches, and nothing else."""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from deepchecks_telemetry.spool.files.atomic import BY_UMASK, replace_file
from deepchecks_telemetry.spool.files.regular import read_plain
from deepchecks_telemetry.uploader.errors import BadFile, CannotWrite
from deepchecks_telemetry.uploader.wire.outcome import DELIVERED, REJECTED

FORMAT = "deepchecks-telemetry receipt 1"
NAME = "deepchecks-telemetry-receipt-{}.json"
MAX_BYTES = 8 * 2**20
DIGEST = re.compile(r"[0-9a-f]{64}")
ENTRY_KEYS = ["batch", "sha256", "outcome", "rejected_rows"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One batch, identified by the digest of its body: delivered (except `rejected_rows`), or rejected."""

    sha256: str
    outcome: str
    rejected_rows: int = 0


def to_bytes(entries: Sequence[Entry]) -> bytes:
    """The content of the receipt file; the batches are numbered in their order."""
    batches = [
        {"batch": number, "sha256": entry.sha256, "outcome": entry.outcome, "rejected_rows": entry.rejected_rows}
        for number, entry in enumerate(entries, 1)
    ]
    return (json.dumps({"format": FORMAT, "batches": batches, "check": _check(batches)}, indent=1) + "\n").encode()


def write(entries: Sequence[Entry], path: str) -> str:
    """Write the receipt to a file, or to a directory under a name derived from its content, and return its path."""
    content = to_bytes(entries)
    if os.path.isdir(path):
        path = os.path.join(path, NAME.format(hashlib.sha256(content).hexdigest()[:16]))
    try:
        replace_file(path, content, permissions=BY_UMASK)
    except OSError as error:
        raise CannotWrite(f"the receipt {path} cannot be written ({error.strerror or type(error).__name__})") from error
    return path


def read(path: str) -> list[Entry]:
    """The entries of a receipt; raises `BadFile` unless it is exactly as it was written."""
    name = os.path.basename(path)
    try:
        receipt = json.loads(read_plain(path, MAX_BYTES))
        check = _check(receipt["batches"])
    except OSError as error:
        raise BadFile(f"the receipt {path} cannot be read ({error.strerror or type(error).__name__})") from error
    except (ValueError, LookupError, TypeError, RecursionError):
        raise BadFile(f"the file {name} is not a valid receipt or is truncated") from None
    if receipt.get("format") != FORMAT or not isinstance(receipt["batches"], list):
        raise BadFile(f"the file {name} is not a receipt of a supported version")
    if receipt.get("check") != check or not all(map(_is_entry, receipt["batches"])):
        raise BadFile(f"the receipt {name} was changed after it was written")
    return [Entry(batch["sha256"], batch["outcome"], batch["rejected_rows"]) for batch in receipt["batches"]]


def _is_entry(batch: object) -> bool:
    if not isinstance(batch, dict) or list(batch) != ENTRY_KEYS:
        return False
    rejected = batch["rejected_rows"]
    return (
        isinstance(batch["sha256"], str)
        and DIGEST.fullmatch(batch["sha256"]) is not None
        and batch["outcome"] in (DELIVERED, REJECTED)
        and type(rejected) is int
        and rejected >= 0
    )


def _check(batches: Sequence[object]) -> str:
    """A digest of the entries, which detects edits by hand and damage on a disk."""
    return hashlib.sha256(json.dumps(batches, separators=(",", ":")).encode()).hexdigest()
