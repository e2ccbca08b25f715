"""`settle`: receipts of this machine, of another machine, edited, and late."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from .conftest import read_counts

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]


def test_a_receipt_of_another_machine_is_reported_and_changes_nothing(
    deepchecks: Run, record: Record, exported: Path, receiver: Any, stick: Path, home: Path
) -> None:
    deepchecks("deliver", str(exported), "--endpoint", receiver.url, "--receipt", str(stick / "r.json"))
    other = {"DEEPCHECKS_TELEMETRY_DIR": str(home.parent / "other")}
    assert record("run-check", **other) == [True]
    done = deepchecks("settle", str(stick / "r.json"), **other)
    assert done.returncode == 1
    assert done.stdout.endswith(": skipped, unknown to this installation\n")
    assert done.stderr.startswith("Error: The receipt contains no batch of this installation.")
    assert read_counts(deepchecks, "recorded", "pending", **other) == [1, 1]


def test_an_edited_receipt_is_one_line(deepchecks: Run, exported: Path, receiver: Any, stick: Path) -> None:
    receipt = stick / "r.json"
    deepchecks("deliver", str(exported), "--endpoint", receiver.url, "--receipt", str(receipt))
    receipt.write_text(receipt.read_text().replace('"delivered"', '"rejected"'))
    done = deepchecks("settle", str(receipt))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "was changed after it was written" in done.stderr
    assert read_counts(deepchecks, "exported") == [2]


def test_dropped_exports_are_reported_everywhere_and_a_late_receipt_counts(
    deepchecks: Run, record: Record, receiver: Any, stick: Path, home: Path
) -> None:
    for name in ("first", "second"):
        assert record("run-check", "run-suite") == [True, True]
        deepchecks("export", str(stick / f"{name}.jsonl"))
    prune = (
        "from deepchecks_telemetry.spool.batches import exports\n"
        "from deepchecks_telemetry.spool.db.connection import opened\n"
        "from deepchecks_telemetry.spool.files.paths import find_home\n"
        "exports.MAX_UNSETTLED_BYTES = 1_000\n"
        "with opened(find_home()) as connection:\n"
        "    exports.prune_exports(connection)\n"
    )
    subprocess.run([sys.executable, "-c", prune], check=True, timeout=60)
    reason = "2 unsettled (exported, and no receipt was settled before the limit of unsettled exports was reached)"
    assert f"  dropped       {reason}\n" in deepchecks("status").stdout
    assert read_counts(deepchecks, "exported", "dropped", "dropped_by_reason") == [2, 2, {"unsettled": 2}]
    findings = {finding["name"]: finding for finding in json.loads(deepchecks("doctor", "--json").stdout)}
    assert (findings["dropped"]["text"], findings["conservation"]["level"]) == (reason, "ok")
    assert findings["dropped"]["remedy"].startswith("run deepchecks telemetry settle RECEIPT; ")
    assert [batch["state"] for batch in json.loads(deepchecks("sent", "--json").stdout)] == ["exported", "dropped"]
    page = home.parent / "page.html"
    deepchecks("view", "--output", str(page))
    assert f"Dropped: {reason}." in page.read_text("utf-8")
    deepchecks("deliver", str(stick / "first.jsonl"), "--endpoint", receiver.url, "--receipt", str(stick / "r.json"))
    assert deepchecks("settle", str(stick / "r.json")).stdout == "batch 1: 2 events, delivered\n"
    assert read_counts(deepchecks, "delivered", "exported", "dropped") == [2, 2, 0]
