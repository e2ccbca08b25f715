"""`export`: what is written where, and what `disable` and `flush` do with exports."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from .conftest import read_counts

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]
Counts = Callable[..., list[Any]]
EVENT = b'"eventName":"deepchecks.run-check"'


def test_export_prints_each_file_and_its_counts(deepchecks: Run, record: Record, stick: Path) -> None:
    assert record("run-check", "run-suite") == [True, True]
    previewed = deepchecks("preview").stdout.encode()
    done = deepchecks("export", str(stick))
    (file,) = stick.iterdir()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{file}: 2 events in 1 batch\n"
    assert file.read_bytes() == previewed + b"\n"
    assert read_counts(deepchecks, "recorded", "pending", "sealed", "exported", "rows") == [2, 0, 0, 2, 0]
    assert deepchecks("inspect").stdout == "Nothing is pending.\n"
    assert deepchecks("export", str(stick)).stdout == "Nothing is pending.\n"


def test_a_lost_file_is_exported_or_flushed_again_only_on_request(
    deepchecks: Run, exported: Path, receiver: Any, stick: Path
) -> None:
    content = exported.read_bytes()
    exported.unlink()
    deepchecks("enable", "--endpoint", receiver.url)
    assert deepchecks("flush").stdout == "Nothing is pending.\n"
    assert deepchecks("export", str(stick), "--again").returncode == 0
    assert exported.read_bytes() == content
    assert deepchecks("flush", "--exported").stdout == "batch 1: 2 events, delivered\n"
    assert read_counts(deepchecks, "delivered", "exported") == [2, 0]


def test_flush_to_a_shared_directory_exports_a_file(deepchecks: Run, record: Record, stick: Path) -> None:
    assert record("run-check") == [True]
    done = deepchecks("enable", "--endpoint", stick.as_uri())
    assert done.stdout.splitlines()[1].startswith(f"Counts are sent to {stick.as_uri()}, at most once a day.")
    assert done.stdout.endswith("The endpoint is set by your choice.\n")
    done = deepchecks("flush")
    assert (done.returncode, done.stdout) == (0, "batch 1: 1 event, exported\n")
    assert len(os.listdir(stick)) == 1
    assert read_counts(deepchecks, "exported", "endpoint") == [1, stick.as_uri()]


def test_disable_removes_undelivered_exports(deepchecks: Run, exported: Path) -> None:
    assert EVENT in exported.read_bytes()
    assert deepchecks("disable").returncode == 0
    assert not exported.exists()


def test_disable_names_a_changed_export_and_removes_the_others(
    deepchecks: Run, record: Record, exported: Path, receiver: Any, stick: Path, home: Path
) -> None:
    receipt = stick / "r.json"
    deepchecks("deliver", str(exported), "--endpoint", receiver.url, "--receipt", str(receipt))
    deepchecks("settle", str(receipt))
    assert record("run-check") == [True]
    changed = stick / "changed.jsonl"
    deepchecks("export", str(changed))
    changed.write_text("another text\n")
    report = json.loads(deepchecks("disable", "--json").stdout)
    assert sorted(stick.iterdir()) == [changed, receipt]
    assert report["carried_away"] == [str(changed)]
    assert not (home / "courier" / "ledger.db").exists()
