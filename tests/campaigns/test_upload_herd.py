"""A hundred processes that import at once start one upload, and it is one request."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import ON
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.uploader.endpoint import configure

pytestmark = [pytest.mark.timeout(600)]

HOST = """
import sys
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.uploader import upload_if_due
print("ready", flush=True)
sys.stdin.readline()
print(record("package-import"))  # under so many, one may not get its turn in 100 ms, and says so
upload_if_due()
"""


class Receiver(ThreadingHTTPServer):
    daemon_threads = True
    bodies: "list[bytes]"


class Answering(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_hundred_imports_at_once_are_one_upload_and_one_request(
    ours: Home, in_full: bool, until: Callable[..., None]
) -> None:
    processes, rounds = (100, 3) if in_full else (15, 1)
    assert record("run-check")
    with Receiver(("127.0.0.1", 0), Answering) as receiver:
        receiver.bodies = []
        thread = Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            choose(ours, ON)
            configure(ours, f"http://127.0.0.1:{receiver.server_port}")
            stored = 1
            for number in range(1, rounds + 1):
                waiting = stored - read_accounts(ours).delivered
                with opened(ours) as connection:
                    connection.execute("UPDATE spool SET next_upload = 0")
                stored += import_at_once(processes)
                until(partial(has, receiver, number), timeout_s=60)
                until(lambda: children_of_ours() == [], timeout_s=60)
                assert len(receiver.bodies) == number
                books = read_accounts(ours)
                assert (books.recorded, books.balance) == (stored, 0)
                assert stored > number * processes // 2
                assert books.delivered >= waiting
        finally:
            receiver.shutdown()
            thread.join()


def has(receiver: Receiver, requests: int) -> bool:
    return len(receiver.bodies) >= requests


def import_at_once(processes: int) -> int:
    """How many of their events were stored."""
    command = [sys.executable, "-c", HOST]
    hosts = [
        subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(processes)
    ]
    for host in hosts:
        assert host.stdout is not None
        assert host.stdout.readline() == "ready\n"
    for host in hosts:
        assert host.stdin is not None
        host.stdin.write("\n")
        host.stdin.flush()
    said = [host.communicate(timeout=120)[0] for host in hosts]
    assert {host.returncode for host in hosts} == {0}
    assert set(said) <= {"True\n", "False\n"}
    return said.count("True\n")


def children_of_ours() -> list[str]:
    """The uploaders that are still at work, told by their lock where there is no list of processes."""
    if not os.path.isdir("/proc/self"):
        pytest.skip("needs /proc to see when the detached child has ended")
    home = os.environ["DEEPCHECKS_TELEMETRY_DIR"].encode()
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as words, open(f"/proc/{pid}/environ", "rb") as variables:
                if b"deepchecks_telemetry.uploader.__main__" in words.read() and home in variables.read():
                    found.append(pid)
        except OSError:
            continue
    return found
