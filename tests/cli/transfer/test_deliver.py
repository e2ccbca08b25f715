"""`deliver`, and the way from `export` to `settle`: counted once, or refused in one line with the reason."""

import gzip
import hashlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from .conftest import read_counts

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]


def test_counts_are_exported_delivered_and_settled_once(
    deepchecks: Run, exported: Path, receiver: Any, stick: Path, home: Path
) -> None:
    connected = {"DEEPCHECKS_TELEMETRY_DIR": str(home.parent / "connected"), "DO_NOT_TRACK": "1"}
    done = deepchecks("deliver", str(exported), "--endpoint", receiver.url, **connected)
    receipt = next(path for path in stick.iterdir() if "receipt" in path.name)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{exported.name}, line 1: 2 events, delivered\nreceipt: {receipt}\n"
    assert [gzip.decompress(body) + b"\n" for body in receiver.bodies] == [exported.read_bytes()]
    done = deepchecks("settle", str(receipt))
    assert (done.returncode, done.stdout, done.stderr) == (0, "batch 1: 2 events, delivered\n", "")
    assert read_counts(deepchecks, "recorded", "delivered", "exported") == [2, 2, 0]
    # Delivering and settling everything again changes no count.
    again = deepchecks("deliver", str(exported), "--endpoint", receiver.url, **connected)
    assert again.stdout == f"{exported.name}, line 1: 2 events, already delivered\nreceipt: {receipt}\n"
    assert deepchecks("settle", str(receipt)).stdout == "batch 1: 2 events, already settled (delivered)\n"
    assert read_counts(deepchecks, "recorded", "delivered", "exported") == [2, 2, 0]
    assert len(receiver.bodies) == 1


def test_export_deliver_and_settle_print_json(deepchecks: Run, record: Record, receiver: Any, stick: Path) -> None:
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
    output = json.loads(
        deepchecks("deliver", file["path"], "--endpoint", receiver.url, "--receipt", receipt, "--json").stdout
    )
    batch = {"file": os.path.basename(file["path"]), "line": 1, "sha256": digest, "events": 1}
    batch |= {"outcome": "delivered", "reason": "delivered"}
    assert output == {"endpoint": f"{receiver.url}/v1/logs", "batches": [batch], "left": 0, "receipt": receipt}
    assert json.loads(deepchecks("settle", receipt, "--json").stdout) == [
        {"batch": 1, "sha256": digest, "outcome": "delivered", "settled": True}
    ]


def test_a_truncated_file_is_skipped_and_the_others_are_delivered(
    deepchecks: Run, exported: Path, receiver: Any, stick: Path
) -> None:
    cut = stick / "cut.jsonl"
    cut.write_bytes(exported.read_bytes()[:-30])
    done = deepchecks("deliver", str(cut), str(exported), "--endpoint", receiver.url)
    assert done.returncode == 1
    assert done.stderr == (
        "Skipped: The file cut.jsonl is empty or truncated. Nothing in it was sent. "
        "Copy it again from the original.\n"
        "Error: 1 file skipped. Nothing is lost; fix the cause and run the same command again.\n"
    )
    assert done.stdout.startswith(f"{exported.name}, line 1: 2 events, delivered\nreceipt: ")
    assert len(receiver.bodies) == 1


def test_an_undelivered_batch_is_reported_and_sent_the_next_time(
    deepchecks: Run, exported: Path, receiver: Any, stick: Path
) -> None:
    receiver.status = 503
    done = deepchecks("deliver", str(exported), "--endpoint", receiver.url)
    reason = "HTTP 503: the receiver is not available"
    assert (done.returncode, done.stdout) == (1, f"{exported.name}, line 1: 2 events, {reason}\n")
    assert done.stderr.startswith("Error: 1 batch not delivered. Nothing is lost")
    assert os.listdir(stick) == [exported.name]
    receiver.status = 200
    assert deepchecks("deliver", str(exported), "--endpoint", receiver.url).returncode == 0


def test_a_ledger_can_be_in_the_current_directory(
    deepchecks: Run, exported: Path, receiver: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = deepchecks("deliver", str(exported), "--endpoint", receiver.url, "--ledger", "ledger.db")
    assert (done.returncode, done.stderr, Path("ledger.db").exists()) == (0, "", True)


@pytest.mark.parametrize("mode", ["off", "local"])
def test_deliver_works_in_every_mode_and_creates_no_spool(
    mode: str, deepchecks: Run, exported: Path, receiver: Any, home: Path
) -> None:
    other = home.parent / "other"
    variables = {"DEEPCHECKS_TELEMETRY": mode, "DEEPCHECKS_TELEMETRY_DIR": str(other)}
    assert deepchecks("deliver", str(exported), "--endpoint", receiver.url, **variables).returncode == 0
    lock = [] if os.name == "nt" else ["ledger.db.lock"]  # on Windows filelock removes it
    created = {path.name: stat.S_IMODE(path.stat().st_mode) for path in other.rglob("*") if path.is_file()}
    assert sorted(created) == ["ledger.db", *lock]
    assert os.name == "nt" or set(created.values()) == {0o600}


def test_a_token_is_read_from_a_file_and_neither_printed_nor_stored(
    deepchecks: Run, exported: Path, receiver: Any, tmp_path: Path
) -> None:
    headers = tmp_path / "headers"
    headers.write_text("X-Token: hush-hush\n")
    done = deepchecks("deliver", str(exported), "--endpoint", receiver.url, "--headers", str(headers))
    assert done.returncode == 0
    assert "hush" not in done.stdout + done.stderr
    headers.unlink()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"hush" in path.read_bytes()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export"], "Missing argument 'PATH'"),
        (["export", ".", "--split", "5G"], '"5G" is not a size: expected a number of bytes, or for example 500K or 5M'),
        (["export", ".", "--split", "0"], '"0" is not a size: expected a number of bytes, or for example 500K or 5M'),
        (["deliver"], "Missing argument 'FILE...'"),
        (["deliver", "x", "--endpoint", "x"], "Invalid endpoint: "),
        (["settle"], "Missing argument 'RECEIPT...'"),
    ],
)
def test_a_usage_error_exits_with_2(arguments: list[str], message: str, deepchecks: Run, home: Path) -> None:
    done = deepchecks(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert not home.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
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
        (
            ["export", "no/counts.jsonl"],
            f'{os.sep}no". Check the directory or choose another path. No counts are lost.\n',
        ),
    ],
)
def test_a_failure_is_one_line_and_exits_with_1(
    arguments: list[str], message: str, deepchecks: Run, record: Record
) -> None:
    assert record("run-check") == [True]
    done = deepchecks(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert read_counts(deepchecks, "recorded", "exported") == [1, 0]


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


@pytest.mark.skipif(os.name != "posix", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_says_what_is_kept_and_the_same_command_finishes(
    deepchecks: Run, exported: Path, receiver: Any, stick: Path, interrupt: Callable[..., tuple[int, str, str]]
) -> None:
    arguments = ["deliver", str(exported), "--endpoint", receiver.url]
    code, out, err = interrupt(*arguments)
    assert (code, out) == (1, "")
    assert err == (
        "Error: Interrupted. Nothing is lost. What was delivered is in the ledger; no receipt was written. "
        "Run the same command again.\n"
    )
    assert list(stick.iterdir()) == [exported]
    assert deepchecks(*arguments).returncode == 0
    assert len(list(stick.iterdir())) == 2
