"""A hundred processes that import simultaneously start one upload, which is one request."""

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
print(record("package-import"))  # with so many processes one may not get the lock within 100 ms; then it prints False
upload_if_due()
"""


class Receiver(ThreadingHTTPServer):
    daemon_threads = True
    bodies: "list[bytes]"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def test_a_hundred_simultaneous_imports_make_one_request(
    spool: Home, in_full: bool, wait_until: Callable[..., None]
) -> None:
    processes, rounds = (100, 3) if in_full else (15, 1)
    assert record("run-check")
    with Receiver(("127.0.0.1", 0), Handler) as receiver:
        receiver.bodies = []
        thread = Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            choose(spool, ON)
            configure(spool, f"http://127.0.0.1:{receiver.server_port}")
            stored = 1
            for number in range(1, rounds + 1):
                pending = stored - read_accounts(spool).delivered
                with opened(spool) as connection:
                    connection.execute("UPDATE spool SET next_upload = 0")
                stored += import_simultaneously(processes)
                wait_until(partial(has, receiver, number), timeout_s=60)
                wait_until(lambda: running_uploaders() == [], timeout_s=60)
                assert len(receiver.bodies) == number
                accounts = read_accounts(spool)
                assert (accounts.recorded, accounts.balance) == (stored, 0)
                assert stored > number * processes // 2
                assert accounts.delivered >= pending
        finally:
            receiver.shutdown()
            thread.join()


def has(receiver: Receiver, requests: int) -> bool:
    return len(receiver.bodies) >= requests


def import_simultaneously(processes: int) -> int:
    """Run the processes, and return how many of their events were stored."""
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
    outputs = [host.communicate(timeout=120)[0] for host in hosts]
    assert {host.returncode for host in hosts} == {0}
    assert set(outputs) <= {"True\n", "False\n"}
    return outputs.count("True\n")


def running_uploaders() -> list[str]:
    """The process ids of the uploaders that are still running."""
    if not os.path.isdir("/proc/self"):
        pytest.skip("needs /proc to see when the detached child has ended")
    home = os.environ["DEEPCHECKS_TELEMETRY_DIR"].encode()
    pids = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as words, open(f"/proc/{pid}/environ", "rb") as variables:
                if b"deepchecks_telemetry.uploader.__main__" in words.read() and home in variables.read():
                    pids.append(pid)
        except OSError:
            continue
    return pids
