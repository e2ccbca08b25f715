"""Kill campaign of the uploader: processes are killed at any time: each event is counted once, and none is lost."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.catalogue import EVENT_NUMBERS
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import ON
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.spool.wipe import erase

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.timeout(3600),
]
SEED = 20_260
RACING = 3
FLUSH, CARRY = "flush", "carry"
# A process of each kind is killed before or after one of these calls.
PHASES = {
    FLUSH: ["flushing.seal", "flushing.mark_attempt", "flushing.post", "flushing.settle"],
    CARRY: [
        *("exporting.seal", "exporting.register_export", "exporting.replace_file", "exporting.mark_exported"),
        *("delivering.post", "delivering._record", "settling.settle", "flushing.mark_attempt", "flushing.settle"),
    ],
}

# Has imported everything once, so a process costs only a fork. It reads a line of jobs, starts them all, kills some at
# their time, and prints how each ended. As their parent it reaps them last, so that no process id is used twice.
FORK_SERVER = """
import glob, json, os, random, signal, sys, time
from functools import partial
from deepchecks_telemetry.spool.errors import SpoolError
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.uploader.errors import UploadError
from deepchecks_telemetry.uploader.offline import bundle, deliver as delivering, export as exporting
from deepchecks_telemetry.uploader.offline import receipt, settle as settling
from deepchecks_telemetry.uploader import flush as flushing
from deepchecks_telemetry.uploader.wire import http, tls
from deepchecks_telemetry.uploader.endpoint import Endpoint
import encodings.idna, filelock, requests, sqlite_utils

endpoint, stick, log = Endpoint(sys.argv[1], "a campaign"), sys.argv[2], sys.argv[3]
post = partial(http.post, deadline_s=0.5)
modules = {"flushing": flushing, "exporting": exporting, "delivering": delivering, "settling": settling}

def post_and_log(endpoint, packed):
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{time.monotonic()}\\n".encode())
    return post(endpoint, packed)

def arm(point, after, turn):
    module, name = point.split(".")
    real = getattr(modules[module], name)
    calls = []
    def wrapped(*values, **named):
        calls.append(1)
        if len(calls) == turn and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        done = real(*values, **named)
        if len(calls) == turn:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    setattr(modules[module], name, wrapped)

def flush(home, **options):
    options |= {"parked": True, "lock_s": 0.3, "post": flushing.post}
    for _ in flushing.flush(home, endpoint, **options):
        pass

def carry(home):
    for _ in exporting.export(home, stick, again=random.random() < 0.3, lock_s=0.3):
        pass
    lines = [line for file in glob.glob(stick + "/*.jsonl") for line in bundle.read_file(file)]
    ledger = stick + "/ledger.db"
    done = delivering.deliver(lines, endpoint, ledger, lock_s=0.3, post=delivering.post)
    entries = [delivery.entry for delivery in done if delivery.entry]
    if entries:
        receipt.write(entries, stick)
    for file in glob.glob(stick + "/*receipt-*.json"):
        settling.settle_receipt(home, receipt.read(file))
    if random.random() < 0.5:
        flush(home, exported=True)

def run_job(job):
    random.seed(job["seed"])
    flushing.post = delivering.post = post_and_log
    if job["point"]:
        arm(job["point"], job["after"], job["turn"])
    home = find_home()
    try:
        flush(home) if job["kind"] == "flush" else carry(home)
    except (SpoolError, UploadError, FileNotFoundError):
        pass

def start(job):
    child = os.fork()
    if child == 0:
        try:
            run_job(job)
            os._exit(0)
        finally:
            os._exit(9)
    return child

print("ready", flush=True)
for line in sys.stdin:
    jobs = json.loads(line)
    begun = time.monotonic()
    children = [start(job) for job in jobs]
    for moment, child in sorted((job["kill_s"], child) for job, child in zip(jobs, children) if job["kill_s"]):
        time.sleep(max(0.0, begun + moment - time.monotonic()))
        os.kill(child, signal.SIGKILL)
    print(json.dumps([os.waitpid(child, 0)[1] for child in children]), flush=True)
"""


class Entry(NamedTuple):
    """A record of a request, parsed independently of the code under test."""

    uid: str
    name: str
    day: str
    events: int


def read_request(body: bytes) -> list[Entry]:
    entries = []
    for group in json.loads(body)["resourceLogs"]:
        for scope in group["scopeLogs"]:
            for entry in scope["logRecords"]:
                values = {pair["key"]: pair["value"] for pair in entry["attributes"]}
                uid = values["log.record.uid"]["stringValue"]
                count = int(values["deepchecks.event.count"]["intValue"])
                entries.append(Entry(uid, entry["eventName"], entry["timeUnixNano"], count))
    return entries


class Receiver(ThreadingHTTPServer):
    """Counts each uid once, as a receiver must; its behaviour is random for each request."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.known: dict[str, Entry] = {}
        self.drawn: Counter[str] = Counter()
        self.behaviours = ["200"]
        self.changed: list[Entry] = []
        self.guard = threading.Lock()
        self.chance = random.Random(SEED)

    def take(self, entries: list[Entry], refuse: int = 0) -> int:
        """Store the new entries except the `refuse` smallest, and return the number of those."""
        with self.guard:
            self.changed += [entry for entry in entries if self.known.get(entry.uid, entry) != entry]
            fresh = sorted((entry for entry in entries if entry.uid not in self.known), key=lambda entry: entry.events)
            for entry in fresh[refuse:]:
                self.known[entry.uid] = entry
            return len(fresh[:refuse])

    def draw_behaviour(self) -> str:
        with self.guard:
            behaviour = self.chance.choice(self.behaviours)
            self.drawn[behaviour] += 1
            return behaviour

    def counted(self) -> int:
        with self.guard:
            return sum(entry.events for entry in self.known.values())


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if len(body) < int(self.headers["Content-Length"]):
            return  # the sender was killed while sending
        behaviour = self.server.draw_behaviour()
        if behaviour in ("503", "403"):
            self.respond(int(behaviour), b"")
        elif behaviour == "hangs":
            self.connection.settimeout(2)
            self.connection.recv(1)
        elif behaviour != "no response":
            entries = read_request(gzip.decompress(body))
            refused = self.server.take(entries, len(entries) // 2 if behaviour == "partial" else 0)
            partial = {"partialSuccess": {"rejectedLogRecords": str(refused)}} if refused else {}
            if behaviour != "no response after storing":
                self.respond(200, json.dumps(partial).encode())

    def respond(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def handle(self) -> None:
        with suppress(OSError):  # the client was killed
            super().handle()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class ForkServer:
    """Starts and kills the processes of the campaign."""

    def __init__(self, url: str, folder: Path) -> None:
        self.stick, self.log = folder / "stick", folder / "log"
        self.stick.mkdir()
        command = [sys.executable, "-c", FORK_SERVER, url, str(self.stick), str(self.log)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def start(self, jobs: list[dict[str, object]]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(jobs) + "\n")
        self.process.stdin.flush()

    def wait(self) -> list[int]:
        assert self.process.stdout is not None
        ended: list[int] = json.loads(self.process.stdout.readline())
        assert set(ended) <= {0, signal.SIGKILL}, ended
        return ended

    def sent_after(self, moment: float) -> int:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return sum(float(line) > moment for line in lines)

    def close(self) -> None:
        with self.process:
            assert self.process.stdin is not None
            self.process.stdin.close()
            assert self.process.wait(60) == 0


@pytest.fixture
def fork_server(spool: Home, receiver: Receiver, tmp_path: Path) -> Iterator[ForkServer]:
    server = ForkServer(f"http://127.0.0.1:{receiver.server_port}/v1/logs", tmp_path)
    yield server
    server.close()


def job(kind: str, chance: random.Random, *, kill: bool) -> dict[str, object]:
    """A process that is not killed, or killed at the boundary of a phase, or at a random time."""
    how = chance.choice(["phase", "phase", "moment"]) if kill else None
    return {
        "kind": kind,
        "seed": chance.random(),
        "point": chance.choice(PHASES[kind]) if how == "phase" else None,
        "after": chance.random() < 0.5,
        "turn": chance.choice([1, 1, 2]),
        "kill_s": 0.001 + chance.random() * 0.15 if how == "moment" else None,
    }


def test_each_event_is_counted_once_whatever_process_is_killed_at_any_time(
    spool: Home, receiver: Receiver, fork_server: ForkServer, in_full: bool
) -> None:
    chance = random.Random(SEED)
    rounds = 600 if in_full else 30
    begun, killed, recorded, disabled = time.monotonic(), 0, 0, 0
    alone = False
    for turn in range(rounds):
        if turn % 10 == 0:  # next ten rounds: either with exports, or with partial successes
            alone = chance.random() < 0.5
            receiver.behaviours = ["200", "503", "403", "no response", "hangs", "no response after storing"]
            receiver.behaviours += ["partial"] if alone else []
        for _ in range(chance.randrange(1, 30)):
            assert record(chance.choice(list(EVENT_NUMBERS)))
            recorded += 1
        kinds = [FLUSH if alone else chance.choice((FLUSH, CARRY)) for _ in range(RACING)]
        fork_server.start([job(kind, chance, kill=chance.random() < 0.8) for kind in kinds])
        if alone and turn % 10 == 4:
            disabled += disable(spool, fork_server, chance)
            receiver.known.clear()
        killed += fork_server.wait().count(signal.SIGKILL)
        assert read_accounts(spool).balance == 0
        if turn % 10 == 9:
            settle_all(spool, receiver, fork_server, chance)
    assert killed > rounds / 2
    assert disabled
    assert receiver.changed == []  # a uid always has the same content
    print(
        f"\nupload campaign: {rounds} rounds of {RACING} in {time.monotonic() - begun:.0f} s; {killed} killed, "
        f"{recorded} events recorded, {disabled} disables, answers {dict(receiver.drawn)}"
    )


def disable(spool: Home, fork_server: ForkServer, chance: random.Random) -> int:
    """Disable while the processes run: after it has returned nothing is sent, and nothing is left."""
    time.sleep(chance.random() * 0.1)
    erase(spool)
    ended = time.monotonic()
    accounts = read_accounts(spool)
    assert (accounts.recorded, accounts.pending, accounts.sealed, accounts.exported, accounts.delivered) == (
        0,
        0,
        0,
        0,
        0,
    )
    fork_server.wait()
    assert list(fork_server.stick.glob("*.jsonl*")) == []
    assert fork_server.sent_after(ended) == 0
    choose(spool, ON)
    fork_server.start([])
    return 1


def settle_all(spool: Home, receiver: Receiver, fork_server: ForkServer, chance: random.Random) -> None:
    """Let single processes finish what the others began; then both sides must have the same count."""
    receiver.behaviours = ["200"]
    for kind in (FLUSH, CARRY, CARRY, FLUSH):
        fork_server.start([job(kind, chance, kill=False)])
        fork_server.wait()
    accounts = read_accounts(spool)
    if accounts.exported:  # its receipt was never written, because the batches were flushed: deliver again
        fork_server.start([{**job(CARRY, chance, kill=False), "seed": 1}])
        fork_server.wait()
        accounts = read_accounts(spool)
    assert (accounts.pending, accounts.sealed, accounts.exported) == (0, 0, 0)
    assert (accounts.balance, accounts.delivered) == (0, receiver.counted())
    assert accounts.recorded == accounts.delivered + accounts.rejected
    for file in fork_server.stick.glob("deepchecks-telemetry-*"):
        file.unlink()
