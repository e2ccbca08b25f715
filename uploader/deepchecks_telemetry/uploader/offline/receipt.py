"""A receipt: which batches of a courier's files were delivered; numbers, digests and outcomes, and nothing else."""

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
KEYS = ["batch", "sha256", "outcome", "rejected_rows"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch, told by the digest of its body: delivered (but for so many rows), or rejected whole."""

    sha256: str
    outcome: str
    rejected_rows: int = 0


def to_bytes(entries: Sequence[Entry]) -> bytes:
    """The receipt's file; the batches are numbered as they stand in it."""
    batches = [
        {"batch": number, "sha256": entry.sha256, "outcome": entry.outcome, "rejected_rows": entry.rejected_rows}
        for number, entry in enumerate(entries, 1)
    ]
    return (json.dumps({"format": FORMAT, "batches": batches, "check": _check(batches)}, indent=1) + "\n").encode()


def write(entries: Sequence[Entry], path: str) -> str:
    """Write the receipt to a file, or under a name of its own into a folder, and return its path."""
    content = to_bytes(entries)
    if os.path.isdir(path):
        path = os.path.join(path, NAME.format(hashlib.sha256(content).hexdigest()[:16]))
    try:
        replace_file(path, content, permissions=BY_UMASK)
    except OSError as error:
        raise CannotWrite(f"the receipt {path} cannot be written ({error.strerror or type(error).__name__})") from error
    return path


def read(path: str) -> list[Entry]:
    """The entries of a receipt; raises `BadFile` unless it is whole and as it was written."""
    name = os.path.basename(path)
    try:
        said = json.loads(read_plain(path, MAX_BYTES))
        check = _check(said["batches"])
    except OSError as error:
        raise BadFile(f"the receipt {path} cannot be read ({error.strerror or type(error).__name__})") from error
    except (ValueError, LookupError, TypeError, RecursionError):
        raise BadFile(f"the file {name} is not a valid receipt or is truncated") from None
    if said.get("format") != FORMAT or not isinstance(said["batches"], list):
        raise BadFile(f"the file {name} is not a receipt of a supported version")
    if said.get("check") != check or not all(map(_is_entry, said["batches"])):
        raise BadFile(f"the receipt {name} was changed after it was written")
    return [Entry(each["sha256"], each["outcome"], each["rejected_rows"]) for each in said["batches"]]


def _is_entry(each: object) -> bool:
    if not isinstance(each, dict) or list(each) != KEYS:
        return False
    rejected = each["rejected_rows"]
    return (
        isinstance(each["sha256"], str)
        and DIGEST.fullmatch(each["sha256"]) is not None
        and each["outcome"] in (DELIVERED, REJECTED)
        and type(rejected) is int
        and rejected >= 0
    )


def _check(batches: Sequence[object]) -> str:
    """A digest over the entries: an edit by hand, or a disk's damage, shows."""
    return hashlib.sha256(json.dumps(batches, separators=(",", ":")).encode()).hexdigest()
