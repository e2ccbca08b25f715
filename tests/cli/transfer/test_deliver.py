"""`export`, `deliver`, `settle` as an administrator types them: counted once, or refused in a line that says why."""

import gzip
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]
SCOPE = b'"eventName":"deepchecks.run-check"'


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    folder = tmp_path / "stick"
    folder.mkdir()
    return folder


@pytest.fixture
def carried(deepchecks: Run, record: Record, stick: Path) -> Path:
    """A file of two events on the stick, in one batch."""
    assert record("run-check", "run-suite") == [True, True]
    assert deepchecks("export", str(stick)).returncode == 0
    (file,) = stick.iterdir()
    return file


def books(deepchecks: Run, *names: str, **variables: str) -> list[Any]:
    facts = json.loads(deepchecks("status", "--json", **variables).stdout)
    return [facts[name] for name in names]


def test_export_says_which_file_holds_how_much(deepchecks: Run, record: Record, stick: Path) -> None:
    assert record("run-check", "run-suite") == [True, True]
    previewed = deepchecks("preview").stdout.encode()
    done = deepchecks("export", str(stick))
    (file,) = stick.iterdir()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{file}: 2 events in 1 batch\n"
    assert file.read_bytes() == previewed + b"\n"
    assert books(deepchecks, "recorded", "pending", "sealed", "exported", "rows") == [2, 0, 0, 2, 0]
    assert deepchecks("inspect").stdout == "Nothing is pending.\n"
    assert deepchecks("export", str(stick)).stdout == "Nothing is pending.\n"


def test_the_whole_way_from_a_machine_without_a_network_and_back(
    deepchecks: Run, carried: Path, receiver: Any, stick: Path, home: Path
) -> None:
    there = {"DEEPCHECKS_TELEMETRY_DIR": str(home.parent / "connected"), "DO_NOT_TRACK": "1"}
    done = deepchecks("deliver", str(carried), "--endpoint", receiver.url, **there)
    receipt = next(path for path in stick.iterdir() if "receipt" in path.name)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{carried.name}, line 1: 2 events, delivered\nreceipt: {receipt}\n"
    assert [gzip.decompress(body) + b"\n" for body in receiver.bodies] == [carried.read_bytes()]
    done = deepchecks("settle", str(receipt))
    assert (done.returncode, done.stdout, done.stderr) == (0, "batch 1: 2 events, delivered\n", "")
    assert books(deepchecks, "recorded", "delivered", "exported") == [2, 2, 0]
    # A second carry of everything changes no count.
    again = deepchecks("deliver", str(carried), "--endpoint", receiver.url, **there)
    assert again.stdout == f"{carried.name}, line 1: 2 events, already delivered\nreceipt: {receipt}\n"
    assert deepchecks("settle", str(receipt)).stdout == "batch 1: 2 events, already settled (delivered)\n"
    assert books(deepchecks, "recorded", "delivered", "exported") == [2, 2, 0]
    assert len(receiver.bodies) == 1


def test_a_script_gets_json_from_all_three(deepchecks: Run, record: Record, receiver: Any, stick: Path) -> None:
    assert record("run-check") == [True]
    (file,) = json.loads(deepchecks("export", str(stick), "--json").stdout)
    content = Path(file["path"]).read_bytes()
    assert file == {
        "path": file["path"],
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "batches": [1],
        "events": 1,
    }
    digest = hashlib.sha256(content[:-1]).hexdigest()
    receipt = str(stick / "receipt.json")
    told = json.loads(
        deepchecks("deliver", file["path"], "--endpoint", receiver.url, "--receipt", receipt, "--json").stdout
    )
    batch = {"file": os.path.basename(file["path"]), "line": 1, "sha256": digest, "events": 1}
    batch |= {"outcome": "delivered", "reason": "delivered"}
    assert told == {"endpoint": f"{receiver.url}/v1/logs", "batches": [batch], "left": 0, "receipt": receipt}
    assert json.loads(deepchecks("settle", receipt, "--json").stdout) == [
        {"batch": 1, "sha256": digest, "outcome": "delivered", "settled": True}
    ]


def test_a_file_that_was_cut_short_is_refused_and_the_others_are_delivered(
    deepchecks: Run, carried: Path, receiver: Any, stick: Path
) -> None:
    cut = stick / "cut.jsonl"
    cut.write_bytes(carried.read_bytes()[:-30])
    done = deepchecks("deliver", str(cut), str(carried), "--endpoint", receiver.url)
    assert done.returncode == 1
    assert done.stderr == (
        "Skipped: The file cut.jsonl is empty or truncated. Nothing in it was sent. "
        "Copy it again from the original.\n"
        "Error: 1 file skipped. Nothing is lost; fix the cause and run the same command again.\n"
    )
    assert done.stdout.startswith(f"{carried.name}, line 1: 2 events, delivered\nreceipt: ")
    assert len(receiver.bodies) == 1


def test_what_a_receiver_did_not_take_is_told_and_goes_the_next_time(
    deepchecks: Run, carried: Path, receiver: Any, stick: Path
) -> None:
    receiver.status = 503
    done = deepchecks("deliver", str(carried), "--endpoint", receiver.url)
    reason = "HTTP 503: the receiver is not available"
    assert (done.returncode, done.stdout) == (1, f"{carried.name}, line 1: 2 events, {reason}\n")
    assert done.stderr.startswith("Error: 1 batch not delivered. Nothing is lost")
    assert os.listdir(stick) == [carried.name]
    receiver.status = 200
    assert deepchecks("deliver", str(carried), "--endpoint", receiver.url).returncode == 0


def test_a_receipt_of_another_machine_is_told_and_changes_nothing(
    deepchecks: Run, record: Record, carried: Path, receiver: Any, stick: Path, home: Path
) -> None:
    deepchecks("deliver", str(carried), "--endpoint", receiver.url, "--receipt", str(stick / "r.json"))
    other = {"DEEPCHECKS_TELEMETRY_DIR": str(home.parent / "other")}
    assert record("run-check", **other) == [True]
    done = deepchecks("settle", str(stick / "r.json"), **other)
    assert done.returncode == 1
    assert done.stdout.endswith(": skipped, unknown to this installation\n")
    assert done.stderr.startswith("Error: The receipt contains no batch of this installation.")
    assert books(deepchecks, "recorded", "pending", **other) == [1, 1]


def test_a_receipt_that_was_edited_is_one_line(deepchecks: Run, carried: Path, receiver: Any, stick: Path) -> None:
    receipt = stick / "r.json"
    deepchecks("deliver", str(carried), "--endpoint", receiver.url, "--receipt", str(receipt))
    receipt.write_text(receipt.read_text().replace('"delivered"', '"rejected"'))
    done = deepchecks("settle", str(receipt))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "was changed after it was written" in done.stderr
    assert books(deepchecks, "exported") == [2]


def test_a_lost_file_is_written_or_flushed_again_by_name_only(
    deepchecks: Run, carried: Path, receiver: Any, stick: Path
) -> None:
    content = carried.read_bytes()
    carried.unlink()
    deepchecks("enable", "--endpoint", receiver.url)
    assert deepchecks("flush").stdout == "Nothing is pending.\n"
    assert deepchecks("export", str(stick), "--again").returncode == 0
    assert carried.read_bytes() == content
    assert deepchecks("flush", "--exported").stdout == "batch 1: 2 events, delivered\n"
    assert books(deepchecks, "delivered", "exported") == [2, 0]


def test_a_shared_folder_as_the_endpoint_gets_what_flush_would_send(
    deepchecks: Run, record: Record, stick: Path
) -> None:
    assert record("run-check") == [True]
    done = deepchecks("enable", "--endpoint", stick.as_uri())
    assert done.stdout.splitlines()[1].startswith(f"Counts are sent to {stick.as_uri()}, at most once a day.")
    assert done.stdout.endswith("The endpoint is set by your choice.\n")
    done = deepchecks("flush")
    assert (done.returncode, done.stdout) == (0, "batch 1: 1 event, exported\n")
    assert len(os.listdir(stick)) == 1
    assert books(deepchecks, "exported", "endpoint") == [1, stick.as_uri()]


def test_disable_takes_the_exports_that_were_not_delivered_with_it(deepchecks: Run, carried: Path) -> None:
    assert SCOPE in carried.read_bytes()
    assert deepchecks("disable").returncode == 0
    assert not carried.exists()


@pytest.mark.parametrize("mode", ["off", "local"])
def test_deliver_works_in_every_mode_and_makes_no_spool(
    mode: str, deepchecks: Run, carried: Path, receiver: Any, home: Path
) -> None:
    there = home.parent / "there"
    variables = {"DEEPCHECKS_TELEMETRY": mode, "DEEPCHECKS_TELEMETRY_DIR": str(there)}
    assert deepchecks("deliver", str(carried), "--endpoint", receiver.url, **variables).returncode == 0
    assert sorted(path.name for path in there.rglob("*") if path.is_file()) == ["ledger.db", "ledger.db.lock"]


def test_a_gateways_token_comes_from_a_file_and_is_shown_nowhere(
    deepchecks: Run, carried: Path, receiver: Any, tmp_path: Path
) -> None:
    headers = tmp_path / "headers"
    headers.write_text("X-Token: hush-hush\n")
    done = deepchecks("deliver", str(carried), "--endpoint", receiver.url, "--headers", str(headers))
    assert done.returncode == 0
    assert "hush" not in done.stdout + done.stderr
    headers.unlink()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"hush" in path.read_bytes()]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export"], "Missing argument 'PATH'"),
        (["export", ".", "--split", "5G"], '"5G" is not a size: expected a number of bytes, or for example 500K or 5M'),
        (["export", ".", "--split", "0"], '"0" is not a size: expected a number of bytes, or for example 500K or 5M'),
        (["deliver"], "Missing argument 'FILE...'"),
        (["deliver", "x", "--endpoint", "x"], "Invalid endpoint: "),
        (["settle"], "Missing argument 'RECEIPT...'"),
    ],
)
def test_a_usage_error_of_the_courier_is_2(arguments: list[str], said: str, deepchecks: Run, home: Path) -> None:
    done = deepchecks(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert not home.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["deliver", "missing.jsonl", "--endpoint", "http://127.0.0.1:9"], "Error: 1 file skipped."),
        (["deliver", "missing.jsonl"], "Error: No endpoint is configured on this machine."),
        (
            ["settle", "missing.json"],
            "Error: The receipt missing.json cannot be read (No such file or directory). Copy",
        ),
        (
            ["export", "stick/"],
            'Error: There is no directory "stick/", and the name of an export file must end in .jsonl. Check',
        ),
        (["export", "no/counts.jsonl"], '/no". Check the directory or choose another path. No counts are lost.\n'),
    ],
)
def test_what_the_courier_cannot_do_is_a_line_and_1(
    arguments: list[str], said: str, deepchecks: Run, record: Record
) -> None:
    assert record("run-check") == [True]
    done = deepchecks(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert books(deepchecks, "recorded", "exported") == [1, 0]


def test_each_line_of_deliver_names_its_file(deepchecks: Run, record: Record, receiver: Any, stick: Path) -> None:
    assert record("run-check") == [True]
    deepchecks("export", str(stick / "monday.jsonl"))
    assert record("run-check", "run-suite") == [True, True]
    deepchecks("export", str(stick / "tuesday.jsonl"))
    deepchecks("export", str(stick / "all.jsonl"), "--again")
    files = [str(stick / f"{name}.jsonl") for name in ("tuesday", "all", "monday")]
    done = deepchecks("deliver", *files, "--endpoint", receiver.url)
    assert done.stdout.splitlines()[:-1] == [
        "tuesday.jsonl, line 1: 2 events, delivered",
        "all.jsonl, line 1: 1 event, delivered",
    ]


def test_disable_names_the_file_that_was_changed_and_removes_the_rest(
    deepchecks: Run, record: Record, carried: Path, receiver: Any, stick: Path, home: Path
) -> None:
    receipt = stick / "r.json"
    deepchecks("deliver", str(carried), "--endpoint", receiver.url, "--receipt", str(receipt))
    deepchecks("settle", str(receipt))
    assert record("run-check") == [True]
    changed = stick / "changed.jsonl"
    deepchecks("export", str(changed))
    changed.write_text("a note of somebody's\n")
    facts = json.loads(deepchecks("disable", "--json").stdout)
    assert sorted(stick.iterdir()) == [changed, receipt]
    assert facts["carried_away"] == [str(changed)]
    assert not (home / "courier" / "ledger.db").exists()


def test_exports_that_were_dropped_are_said_everywhere_and_a_late_receipt_counts(
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
    why = "2 unsettled (exported, and no receipt was settled before the limit of unsettled exports was reached)"
    assert f"  dropped       {why}\n" in deepchecks("status").stdout
    assert books(deepchecks, "exported", "dropped", "dropped_by_reason") == [2, 2, {"unsettled": 2}]
    found = {each["name"]: each for each in json.loads(deepchecks("doctor", "--json").stdout)}
    assert (found["dropped"]["text"], found["conservation"]["level"]) == (why, "ok")
    assert found["dropped"]["remedy"].startswith("run deepchecks telemetry settle RECEIPT; ")
    assert [batch["state"] for batch in json.loads(deepchecks("sent", "--json").stdout)] == ["dropped", "exported"]
    page = home.parent / "page.html"
    deepchecks("view", "--output", str(page))
    assert f"Dropped: {why}." in page.read_text()
    deepchecks("deliver", str(stick / "first.jsonl"), "--endpoint", receiver.url, "--receipt", str(stick / "r.json"))
    assert deepchecks("settle", str(stick / "r.json")).stdout == "batch 1: 2 events, delivered\n"
    assert books(deepchecks, "delivered", "exported", "dropped") == [2, 2, 0]
