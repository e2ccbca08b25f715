"""A receipt from somebody else settles the batches with its digests, once, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.ledger import batches
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.stats import Accounts, read_accounts
from deepchecks_telemetry.uploader.errors import BadFile
from deepchecks_telemetry.uploader.offline.export import export
from deepchecks_telemetry.uploader.offline.receipt import FORMAT, _check, read
from deepchecks_telemetry.uploader.offline.settle import settle_receipt
from deepchecks_telemetry.uploader.wire.outcome import DELIVERED, REJECTED


@pytest.fixture
def digest(home: Path, tmp_path: Path) -> str:
    """The digest of an exported batch with two events in two rows."""
    assert record("run-check")
    assert record("run-suite")
    list(export(find_home(), str(tmp_path / "counts.jsonl")))
    (batch,) = batches(find_home())
    return batch.sha256


def forged(entries: Any, path: Path) -> str:
    """A receipt with any content, whose checksum is right."""
    path.write_text(json.dumps({"format": FORMAT, "batches": entries, "check": _check(entries)}))
    return str(path)


def stats() -> Accounts:
    found = read_accounts(find_home())
    assert found.balance == 0
    return found


def entry(digest: object, **changes: object) -> dict[str, object]:
    return {"batch": 1, "sha256": digest, "outcome": DELIVERED, "rejected_rows": 0} | changes


WRONG: dict[str, Any] = {
    "no list": {"sha256": "0" * 64},
    "a text": "0" * 64,
    "no entry": [None],
    "a number for a digest": [entry(7)],
    "a digest in capitals": [entry("A" * 64)],
    "a path for a digest": [entry("../" * 21 + "x")],
    "a digest and a line": [entry("0" * 64 + "\n")],
    "a lone surrogate": [entry("\ud800" * 64)],
    "another outcome": [entry("0" * 64, outcome="exported")],
    "a list of outcomes": [entry("0" * 64, outcome=[DELIVERED])],
    "a negative number": [entry("0" * 64, rejected_rows=-1)],
    "a fraction": [entry("0" * 64, rejected_rows=0.5)],
    "no number": [entry("0" * 64, rejected_rows=float("nan"))],
    "endless": [entry("0" * 64, rejected_rows=float("inf"))],
    "a truth": [entry("0" * 64, rejected_rows=True)],
    "one more key": [entry("0" * 64, note="\x1b[2J")],
    "the keys in another order": [dict(reversed(entry("0" * 64).items()))],
}


@pytest.mark.parametrize("what", WRONG)
def test_a_receipt_with_foreign_content_is_refused(what: str, tmp_path: Path) -> None:
    with pytest.raises(BadFile) as caught:
        read(forged(WRONG[what], tmp_path / "receipt.json"))
    assert str(caught.value).isprintable()


def test_a_nested_receipt_is_refused_at_every_depth(tmp_path: Path) -> None:
    """The parser accepts a few more levels than the serializer, with which the checksum is computed."""
    path = tmp_path / "receipt.json"
    low, high = 10, 200_000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_parsed(nested(middle)) else (low, middle)
    for depth in range(max(1, low - 60), low + 60):
        path.write_text(f'{{"format":"{FORMAT}","check":"","batches":{nested(depth)}}}')
        with pytest.raises(BadFile):
            read(str(path))


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def is_parsed(text: str) -> bool:
    try:
        json.loads(text)
    except RecursionError:
        return False
    return True


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '"x"', "7", "NaN", "\ufeff{}", '{"batches":7}', "\x00"])
def test_a_file_that_is_not_a_receipt_is_an_error(content: str, tmp_path: Path) -> None:
    (tmp_path / "receipt.json").write_text(content)
    with pytest.raises(BadFile, match=r"not a valid receipt|not a receipt|was changed"):
        read(str(tmp_path / "receipt.json"))


def test_a_receipt_settles_only_its_digests_and_once(digest: str, tmp_path: Path) -> None:
    assert record("run-check")  # was never exported, so nobody else has its digest
    others = [entry("0" * 64), entry(digest[:-1] + ("0" if digest[-1] != "0" else "1"))]
    path = forged([*others, entry(digest), entry(digest, outcome=REJECTED)], tmp_path / "receipt.json")
    settled = settle_receipt(find_home(), read(path))
    assert [entry.changed for entry in settled] == [False, False, True, False]
    assert [entry.changed for entry in settle_receipt(find_home(), read(path))] == [False] * 4
    found = stats()
    assert (found.delivered, found.rejected, found.exported, found.pending) == (2, 0, 0, 1)


@pytest.mark.parametrize("rejected", [2, 3, 2**63, 10**400])
def test_a_receipt_cannot_reject_more_than_was_exported(digest: str, rejected: int, tmp_path: Path) -> None:
    path = forged([entry(digest, rejected_rows=rejected)], tmp_path / "receipt.json")
    assert [entry.changed for entry in settle_receipt(find_home(), read(path))] == [True]
    found = stats()
    assert (found.delivered, found.rejected, found.exported) == (0, 2, 0)
