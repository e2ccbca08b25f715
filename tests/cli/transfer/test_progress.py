"""Long commands show progress on a terminal, and Ctrl-C ends with one line that says what is kept."""

import gzip
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from deepchecks_telemetry.collector import CollectorError, report
from deepchecks_telemetry.spool.catalogue import FIELDS
from deepchecks_telemetry.uploader.offline.receipt import Entry, write

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]
Sql = Callable[..., list[Any]]

# A background process of a shell without job control, which may run these tests, ignores SIGINT.
SCRIPT = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from deepchecks_telemetry.cli import main; sys.argv = ['deepchecks', 'telemetry', *sys.argv[1:]]; main()"
)
VALUES = ("0.19.1", "linux", "debian", "12", "cpython", "3.11", "script")
LINES, ROWS = 600, 100
BATCHES = 250

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has no pseudo-terminals and no SIGINT")


def on_a_terminal(*arguments: str, script: str = SCRIPT) -> tuple[int, str, str]:
    """Exit code, standard output, and what was shown on a terminal that is standard error."""
    controller, terminal = os.openpty()
    command = [sys.executable, "-c", script, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal, text=True) as child:
        os.close(terminal)
        shown = b"".join(iter(lambda: read_some(controller), b"")).decode()
        os.close(controller)
        out, _ = child.communicate(timeout=60)
    return child.returncode, out, shown


def read_some(controller: int) -> bytes:
    try:
        return os.read(controller, 4096)
    except OSError:  # Linux raises this when the other end is closed
        return b""


@pytest.fixture
def three_batches(record: Record, sql: Sql) -> None:
    """A spool with 2,101 counts."""
    assert record("run-check") == [True]
    days = "WITH RECURSIVE d(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM d WHERE n < 2100)"
    sql(f"{days} INSERT INTO folded SELECT (SELECT max(day) FROM events) - n, 2, 1, 1 FROM d")
    sql("INSERT INTO tallies VALUES ('recovered', 2100)")


def test_export_deliver_and_settle_show_progress_only_on_a_terminal(
    three_batches: None, receiver: Any, stick: Path, program: Run
) -> None:
    code, out, shown = on_a_terminal("export", str(stick), "--split", "1")
    assert (code, len(out.splitlines())) == (0, 3)
    assert "Exporting  [" in shown
    assert "100%" in shown
    files, receipt = sorted(map(str, stick.glob("*.jsonl"))), str(stick / "receipt.json")
    code, out, shown = on_a_terminal("deliver", *files, "--endpoint", receiver.url, "--receipt", receipt)
    assert (code, len(out.splitlines())) == (0, 4)
    assert "Sending  [" in shown
    assert "100%" in shown
    code, out, shown = on_a_terminal("settle", receipt)
    assert (code, len(out.splitlines())) == (0, 3)
    assert "Settling  [" in shown
    assert "100%" in shown
    for arguments in (["export", str(stick), "--again"], ["settle", receipt]):
        assert program(*arguments).stderr == ""
    assert program("deliver", *files, "--endpoint", receiver.url, "--receipt", receipt).stderr == ""


def test_after_an_interrupt_what_was_done_is_printed_too() -> None:
    script = """
from deepchecks_telemetry.cli.output import with_progress
def sending():
    yield from (1, 2)
    raise KeyboardInterrupt
try:
    for number in with_progress(sending(), "Sending", 3, lambda _: 1):
        print(number)
except KeyboardInterrupt:
    print("interrupted")
"""
    code, out, shown = on_a_terminal(script=script)
    assert (code, out) == (0, "1\n2\ninterrupted\n")
    assert "66%" in shown


def attribute(key: str, value: str) -> object:
    return {"key": key, "value": {"stringValue": value}}


def a_row() -> object:
    count = {"key": "deepchecks.event.count", "value": {"intValue": "1"}}
    midnight = int(time.time()) // 86_400 * 86_400
    attributes = [attribute("log.record.uid", str(uuid.uuid4())), count]
    return {"timeUnixNano": str(midnight * 10**9), "eventName": "deepchecks.run-check", "attributes": attributes}


@pytest.fixture
def large_file(tmp_path: Path) -> Path:
    """An exported file of 600 lines with 100 rows each."""
    fields = [attribute(field.wire, value) for field, value in zip(FIELDS, VALUES, strict=True)]
    installation = attribute("app.installation.id", str(uuid.uuid4()))
    resource = {"attributes": [attribute("service.name", "deepchecks"), installation, *fields]}
    path = tmp_path / "large.jsonl"
    with path.open("w") as file:
        for _ in range(LINES):
            scope = {"logRecords": [a_row() for _ in range(ROWS)]}
            file.write(json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [scope]}]}) + "\n")
    return path


def rows(store: Path) -> int:
    try:
        return report(store).rows
    except CollectorError:  # its tables are not there yet
        return 0


def test_ctrl_c_in_load_keeps_whole_lines_and_the_same_command_finishes(
    large_file: Path, tmp_path: Path, program: Run
) -> None:
    store = tmp_path / "store.db"
    arguments = ["collector", "load", str(large_file), "--store", str(store)]
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], stdout=pipe, stderr=pipe, text=True) as child:
        deadline = time.monotonic() + 60
        while not rows(store):
            assert time.monotonic() < deadline
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (1, "")
    assert err == (
        f"Error: Interrupted. Nothing is lost. The rows of each line that was read stay in {store}. "
        "Run the same command again.\n"
    )
    kept = rows(store)
    assert 0 < kept < LINES * ROWS
    assert kept % ROWS == 0
    done = program(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"1 file: {LINES * ROWS - kept:,} new rows, {kept:,} already stored, 0 rejected\n"


def test_load_shows_progress_on_a_terminal(large_file: Path, tmp_path: Path) -> None:
    code, out, shown = on_a_terminal("collector", "load", str(large_file), "--store", str(tmp_path / "store.db"))
    assert (code, out) == (0, f"1 file: {LINES * ROWS:,} new rows, 0 already stored, 0 rejected\n")
    assert "Loading  [" in shown
    assert "100%" in shown


def interrupt_when(is_partly_done: Callable[[], object], *arguments: str) -> tuple[int, str, str]:
    """Send Ctrl-C to a command when a part of its work is done."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], stdout=pipe, stderr=pipe, text=True) as child:
        deadline = time.monotonic() + 60
        while not is_partly_done():
            assert time.monotonic() < deadline
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    return child.returncode, out, err


@pytest.fixture
def many_batches(record: Record, program: Run, sql: Sql) -> list[str]:
    """A spool with 250 sealed batches, so that a command works on them for a second; returns their digests."""
    assert record("run-check") == [True]
    assert program("preview").returncode == 0
    body = gzip.decompress(sql("SELECT packed FROM batches")[0][0])
    copies = [body + b" " * number for number in range(1, BATCHES + 1)]
    digests = [hashlib.sha256(copy).hexdigest() for copy in copies]
    sql("DELETE FROM batches")
    for packed, digest in zip(map(gzip.compress, copies), digests, strict=True):
        columns = "INSERT INTO batches (state, sealed_at, rows, events, packed, sha256)"
        sql(f"{columns} VALUES ('sealed', 1, 0, 0, ?, ?)", packed, digest)
    return digests


def in_state(sql: Sql, state: str) -> int:
    return int(sql("SELECT count(*) FROM batches WHERE state = ?", state)[0][0])


def test_ctrl_c_in_export_keeps_whole_files_and_the_same_command_finishes(
    many_batches: list[str], stick: Path, program: Run, sql: Sql
) -> None:
    arguments = ["export", str(stick), "--split", "1"]
    code, out, err = interrupt_when(lambda: list(stick.glob("*.jsonl")), *arguments)
    message = (
        "Error: Interrupted. Nothing is lost. Each file that was written is complete. Run the same command again.\n"
    )
    assert (code, err) == (1, message)
    files = {hashlib.sha256(path.read_bytes()).hexdigest()[:16]: path.name for path in stick.iterdir()}
    assert {f"deepchecks-telemetry-{digest}.jsonl" for digest in files} == set(files.values())
    exported = in_state(sql, "exported")
    assert 0 < len(files) < BATCHES
    assert len(files) - 1 <= exported <= len(files)  # a batch is marked after its file was written
    assert len(out.splitlines()) in (exported, exported - 1)
    assert program(*arguments).returncode == 0
    assert (in_state(sql, "exported"), len(list(stick.iterdir()))) == (BATCHES, BATCHES)


def test_ctrl_c_in_settle_keeps_what_is_settled_and_the_same_command_finishes(
    many_batches: list[str], tmp_path: Path, program: Run, sql: Sql
) -> None:
    receipt = write([Entry(digest, "delivered") for digest in many_batches], str(tmp_path))
    code, out, err = interrupt_when(lambda: in_state(sql, "delivered"), "settle", receipt)
    message = "Error: Interrupted. Nothing is lost. What was settled stays settled. Run the same command again.\n"
    assert (code, out, err) == (1, "", message)
    assert 0 < in_state(sql, "sealed") < BATCHES
    assert program("settle", receipt).returncode == 0
    assert in_state(sql, "sealed") == 0


def test_a_report_of_many_rows_shows_progress_only_on_a_terminal(
    large_file: Path, tmp_path: Path, program: Run
) -> None:
    store = tmp_path / "store.db"
    assert program("collector", "load", str(large_file), "--store", str(store)).returncode == 0
    report_of = ("collector", "report", "--store", str(store), "--event", "run-check")
    assert on_a_terminal(*report_of)[2] == ""  # so few rows take no second
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE cells SET rows = 2000000 WHERE field = 'day'")  # as if many more rows had arrived
    code, out, shown = on_a_terminal(*report_of)
    assert (code, f"{LINES * ROWS:,} rows" in out) == (0, True)
    assert "Reading rows  [" in shown
    assert "100%" in shown
    assert program(*report_of).stderr == ""
