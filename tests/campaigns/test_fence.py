"""Fence campaign: after `disable` has returned, no row is stored, no request begins, and no byte is left."""

import json
import mmap
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.residue import find_residue
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.spool.wipe import erase

pytestmark = pytest.mark.timeout(3600)
RECORDERS = 8
UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# Each process counts its attempts and successes in its own part of a shared file.
COUNTER = """
import mmap, os, struct, sys, time
descriptor = os.open(sys.argv[1], os.O_RDWR)
shared = mmap.mmap(descriptor, 0)
def note(tries, done):
    struct.pack_into("=qq", shared, 16 * int(sys.argv[2]), tries, done)
tries = done = 0
"""
RECORD = (
    COUNTER
    + """
from deepchecks_telemetry.spool import record
while True:
    stored = record("run-suite")
    tries, done = tries + 1, done + stored
    note(tries, done)
    if not stored:
        time.sleep(0.0005)
"""
)
UPLOAD = (
    COUNTER
    + """
from deepchecks_telemetry.spool.errors import SpoolError
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.errors import UploadError
from deepchecks_telemetry.uploader.flush import flush
endpoint = Endpoint(sys.argv[3], "the campaign")
while True:
    try:
        for _ in flush(find_home(), endpoint):
            done += 1
            note(tries, done)
    except (SpoolError, UploadError, FileNotFoundError):
        time.sleep(0.0005)
    tries += 1
    note(tries, done)
"""
)


class Slow(BaseHTTPRequestHandler):
    """A slow receiver that stores the time and the body of each request."""

    protocol_version = "HTTP/1.1"
    begun: list[tuple[float, bytes]]

    def do_POST(self) -> None:
        began = time.monotonic()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.begun.append((began, body))
        threading.Event().wait(0.03)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    Slow.begun = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Crowd:
    """Eight processes that record and one that uploads, continuously; the test reads their counters."""

    def __init__(self, path: Path, url: str) -> None:
        path.write_bytes(b"\0" * 16 * (RECORDERS + 1))
        with path.open("r+b") as file:
            self.shared = mmap.mmap(file.fileno(), 0)
        codes = [[RECORD, str(path), str(number)] for number in range(RECORDERS)]
        commands = [*codes, [UPLOAD, str(path), str(RECORDERS), url]]
        self.processes = [subprocess.Popen([sys.executable, "-c", *command]) for command in commands]

    def count(self) -> tuple[list[int], list[int]]:
        """The attempts and the successes of each process."""
        numbers = memoryview(self.shared).cast("q").tolist()
        return numbers[::2], numbers[1::2]

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait(timeout=30)
        self.shared.close()


def all_grew(before: list[int], now: list[int], by: int) -> bool:
    return all(new >= old + by for old, new in zip(before, now, strict=True))


def disable_by_command() -> None:
    command = [sys.executable, "-m", "deepchecks_telemetry.cli", "telemetry", "disable", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["residue"] == []


def test_nothing_is_stored_sent_or_left_after_disable_returned(
    spool: Home,
    tmp_path: Path,
    server: ThreadingHTTPServer,
    in_full: bool,
    wait_until: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DEEPCHECKS_TELEMETRY")  # so that only the choice decides in the processes
    choose(spool, "on")
    rounds = 300 if in_full else 8
    crowd = Crowd(tmp_path / "counters", f"http://127.0.0.1:{server.server_port}/v1/logs")
    nearest, begun = float("inf"), time.monotonic()
    try:
        for number in range(rounds):
            for target in spool.with_default:  # the command also writes `off` to the default directories
                choose(target, "on")
            _, before = crowd.count()
            wait_until(lambda before=before: all_grew(before[:-1], crowd.count()[1][:-1], 3))
            wait_until(lambda: Slow.begun)  # usually a request is running
            disable_by_command() if number % 4 == 0 else erase(spool)
            returned = time.monotonic()
            tries, _ = crowd.count()
            wait_until(lambda tries=tries: all_grew(tries, crowd.count()[0], 3))
            check(spool, returned)
            nearest = min(nearest, returned - Slow.begun[-1][0])
            Slow.begun.clear()
        tries, done = crowd.count()
    finally:
        crowd.end()
    print(
        f"\nfence campaign: {rounds} rounds in {time.monotonic() - begun:.0f} s; {sum(tries[:-1])} records tried, "
        f"{sum(done[:-1])} stored and wiped, {done[-1]} requests, "
        f"the last one begun {nearest * 1000:.0f} ms before disable returned"
    )


def check(spool: Home, returned: float) -> None:
    accounts = read_accounts(spool)
    assert (accounts.recorded, accounts.pending, accounts.rows, accounts.batches) == (0, 0, 0, 0)
    assert accounts.installation_id is None
    assert max(began for began, _ in Slow.begun) <= returned
    received = b"".join(unpack(body) for _, body in Slow.begun)
    markers = set(UUID.findall(received))
    assert len(markers) > 1
    assert find_residue(spool, markers)[1] == []
    assert os.path.exists(spool.spool)


def unpack(body: bytes) -> bytes:
    import gzip

    return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
