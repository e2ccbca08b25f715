"""Kill campaign of the uploader: whoever dies at whatever moment, each event is counted once, and none is lost."""

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
from deepchecks_telemetry.spool.catalogue import NUMBERS
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
# Where a process of each kind is killed: before or after one of these calls.
PHASES = {
    FLUSH: ["flushing.seal", "flushing.mark_attempt", "flushing.post", "flushing.settle"],
    CARRY: [
        *("exporting.seal", "exporting.register_export", "exporting._write_file", "exporting.mark_exported"),
        *("delivering.post", "delivering._record", "settling.settle", "flushing.mark_attempt", "flushing.settle"),
    ],
}

# Has loaded everything once, so that a process costs a fork. It reads a line of jobs, starts them all, kills some at
# their moment, and answers how each ended. As their parent it reaps them last: no other process gets a killed one's id.
NURSERY = """
import glob, json, os, random, signal, sys, time
from functools import partial
from deepchecks_telemetry.spool.errors import SpoolError
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.uploader.errors import UploadError
from deepchecks_telemetry.uploader.offline import bundle as courier, deliver as delivering, export as exporting
from deepchecks_telemetry.uploader.offline import receipt, settle as settling
from deepchecks_telemetry.uploader import flush as flushing
from deepchecks_telemetry.uploader.wire import http as transport, tls as trust
from deepchecks_telemetry.uploader.endpoint import Endpoint
import encodings.idna, filelock, requests, sqlite_utils

endpoint, stick, log = Endpoint(sys.argv[1], "a campaign"), sys.argv[2], sys.argv[3]
post = partial(transport.post, deadline_s=0.5)
rooms = {"flushing": flushing, "exporting": exporting, "delivering": delivering, "settling": settling}

def told(endpoint, packed):
    note = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(note, f"{time.monotonic()}\\n".encode())
    return post(endpoint, packed)

def arm(point, after, turn):
    room, name = point.split(".")
    real = getattr(rooms[room], name)
    calls = []
    def wrapped(*values, **named):
        calls.append(1)
        if len(calls) == turn and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        done = real(*values, **named)
        if len(calls) == turn:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    setattr(rooms[room], name, wrapped)

def flush(home, **how):
    how |= {"parked": True, "ignore_retry_after": True, "lock_s": 0.3, "post": flushing.post}
    for _ in flushing.flush(home, endpoint, **how):
        pass

def carry(home):
    for _ in exporting.export(home, stick, again=random.random() < 0.3, lock_s=0.3):
        pass
    lines = [line for file in glob.glob(stick + "/*.jsonl") for line in courier.read_file(file)]
    ledger = stick + "/ledger.db"
    done = delivering.deliver(lines, endpoint, ledger, lock_s=0.3, post=delivering.post)
    entries = [each.entry for each in done if each.entry]
    if entries:
        receipt.write(entries, stick)
    for file in glob.glob(stick + "/*receipt-*.json"):
        settling.settle_receipt(home, receipt.read(file))
    if random.random() < 0.5:
        flush(home, exported=True)

def live(job):
    random.seed(job["seed"])
    flushing.post = delivering.post = told
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
            live(job)
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
    """A record of a request, read with nothing of ours."""

    uid: str
    name: str
    day: str
    events: int


def read_request(body: bytes) -> list[Entry]:
    found = []
    for group in json.loads(body)["resourceLogs"]:
        for scope in group["scopeLogs"]:
            for entry in scope["logRecords"]:
                values = {each["key"]: each["value"] for each in entry["attributes"]}
                uid = values["log.record.uid"]["stringValue"]
                count = int(values["deepchecks.event.count"]["intValue"])
                found.append(Entry(uid, entry["eventName"], entry["timeUnixNano"], count))
    return found


class Receiver(ThreadingHTTPServer):
    """Counts each uid once, as a receiver must; how it behaves is drawn anew for each request."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Behaving)
        self.known: dict[str, Entry] = {}
        self.moods: Counter[str] = Counter()
        self.behaviours = ["200"]
        self.changed: list[Entry] = []
        self.guard = threading.Lock()
        self.chance = random.Random(SEED)

    def take(self, entries: list[Entry], refuse: int = 0) -> int:
        """Store what is new but for the `refuse` smallest; how many of the request stay unknown."""
        with self.guard:
            self.changed += [entry for entry in entries if self.known.get(entry.uid, entry) != entry]
            fresh = sorted((entry for entry in entries if entry.uid not in self.known), key=lambda each: each.events)
            for entry in fresh[refuse:]:
                self.known[entry.uid] = entry
            return len(fresh[:refuse])

    def mood(self) -> str:
        with self.guard:
            drawn = self.chance.choice(self.behaviours)
            self.moods[drawn] += 1
            return drawn

    def counted(self) -> int:
        with self.guard:
            return sum(entry.events for entry in self.known.values())


class Behaving(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if len(body) < int(self.headers["Content-Length"]):
            return  # whoever sent it was killed in the middle
        mood = self.server.mood()
        if mood in ("503", "403"):
            self.answer(int(mood), b"")
        elif mood == "hangs":
            self.connection.settimeout(2)
            self.connection.recv(1)
        elif mood != "nothing":
            entries = read_request(gzip.decompress(body))
            refused = self.server.take(entries, len(entries) // 2 if mood == "partial" else 0)
            partial = {"partialSuccess": {"rejectedLogRecords": str(refused)}} if refused else {}
            if mood != "dies after it stored":
                self.answer(200, json.dumps(partial).encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def handle(self) -> None:
        with suppress(OSError):  # whoever asked was killed
            super().handle()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Nursery:
    """Where the processes of the campaign are born and killed."""

    def __init__(self, url: str, folder: Path) -> None:
        self.stick, self.log = folder / "stick", folder / "log"
        self.stick.mkdir()
        command = [sys.executable, "-c", NURSERY, url, str(self.stick), str(self.log)]
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
def nursery(ours: Home, receiver: Receiver, tmp_path: Path) -> Iterator[Nursery]:
    found = Nursery(f"http://127.0.0.1:{receiver.server_port}/v1/logs", tmp_path)
    yield found
    found.close()


def job(kind: str, chance: random.Random, *, kill: bool) -> dict[str, object]:
    """A process: left alone, killed at the boundary of a phase, or at a moment drawn by chance."""
    how = chance.choice(["phase", "phase", "moment"]) if kill else None
    return {
        "kind": kind,
        "seed": chance.random(),
        "point": chance.choice(PHASES[kind]) if how == "phase" else None,
        "after": chance.random() < 0.5,
        "turn": chance.choice([1, 1, 2]),
        "kill_s": 0.001 + chance.random() * 0.15 if how == "moment" else None,
    }


def test_each_event_is_counted_once_whoever_dies_at_whatever_moment(
    ours: Home, receiver: Receiver, nursery: Nursery, in_full: bool
) -> None:
    chance = random.Random(SEED)
    rounds = 600 if in_full else 30
    begun, killed, recorded, disabled = time.monotonic(), 0, 0, 0
    alone = False
    for turn in range(rounds):
        if turn % 10 == 0:  # a new era: with a courier or with partial successes, whose refusals a receipt tells later
            alone = chance.random() < 0.5
            receiver.behaviours = ["200", "503", "403", "nothing", "hangs", "dies after it stored"]
            receiver.behaviours += ["partial"] if alone else []
        for _ in range(chance.randrange(1, 30)):
            assert record(chance.choice(list(NUMBERS)))
            recorded += 1
        kinds = [FLUSH if alone else chance.choice((FLUSH, CARRY)) for _ in range(RACING)]
        nursery.start([job(kind, chance, kill=chance.random() < 0.8) for kind in kinds])
        if alone and turn % 10 == 4:
            disabled += disable(ours, nursery, chance)
            receiver.known.clear()
        killed += nursery.wait().count(signal.SIGKILL)
        assert read_accounts(ours).balance == 0
        if turn % 10 == 9:
            settle_all(ours, receiver, nursery, chance)
    assert killed > rounds / 2
    assert disabled
    assert receiver.changed == []  # a uid never came with something else
    print(
        f"\nupload campaign: {rounds} rounds of {RACING} in {time.monotonic() - begun:.0f} s; {killed} killed, "
        f"{recorded} events recorded, {disabled} disables, answers {dict(receiver.moods)}"
    )


def disable(ours: Home, nursery: Nursery, chance: random.Random) -> int:
    """In the middle of it: once it has returned nothing is sent and nothing is there."""
    time.sleep(chance.random() * 0.1)
    erase(ours)
    ended = time.monotonic()
    books = read_accounts(ours)
    assert (books.recorded, books.pending, books.sealed, books.exported, books.delivered) == (0, 0, 0, 0, 0)
    nursery.wait()
    assert list(nursery.stick.glob("*.jsonl*")) == []
    assert nursery.sent_after(ended) == 0
    choose(ours, ON)
    nursery.start([])
    return 1


def settle_all(ours: Home, receiver: Receiver, nursery: Nursery, chance: random.Random) -> None:
    """Let one process in peace end what the others began; then both sides must have the same count."""
    receiver.behaviours = ["200"]
    for kind in (FLUSH, CARRY, CARRY, FLUSH):
        nursery.start([job(kind, chance, kill=False)])
        nursery.wait()
    books = read_accounts(ours)
    if books.exported:  # a receipt that was never written, since its batches had been flushed: carried once more
        nursery.start([{**job(CARRY, chance, kill=False), "seed": 1}])
        nursery.wait()
        books = read_accounts(ours)
    assert (books.pending, books.sealed, books.exported) == (0, 0, 0)
    assert (books.balance, books.delivered) == (0, receiver.counted())
    assert books.recorded == books.delivered + books.rejected
    for file in nursery.stick.glob("deepchecks-telemetry-*"):
        file.unlink()
