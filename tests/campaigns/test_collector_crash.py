"""Crash campaign: the collector is killed at random under load; each acknowledged row is stored once."""

import http.client
import json
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.collector.messages import RESOURCE

from deepchecks_telemetry.collector import report

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL"),
    pytest.mark.timeout(3600),
]
SEED = 20_241
ROUNDS, ROUNDS_IN_FULL = 6, 200
CHECKED = 25  # check every 25 rounds: a lost row stays lost, and reading half a million rows takes time
SENDERS, ROWS = 3, 400  # so many that storing them takes longer than sending the response


class Sender(threading.Thread):
    """Posts batches, an unacknowledged one again first; notes the attempted and the acknowledged uids."""

    def __init__(self, address: str, on_success: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.on_success = on_success
        self.address = address
        self.ended = False
        self.attempted: set[str] = set()
        self.acknowledged: set[str] = set()
        self.waiting: list[list[str]] = []

    def run(self) -> None:
        client = http.client.HTTPConnection(self.address, timeout=20)
        with closing(client), suppress(OSError, http.client.HTTPException):  # the collector was killed
            while not self.ended:
                self._send(client)

    def _send(self, client: http.client.HTTPConnection) -> None:
        if not self.waiting:
            self.waiting.append([str(uuid.uuid4()) for _ in range(ROWS)])
        self.attempted.update(self.waiting[0])
        client.request("POST", "/v1/logs", body(self.waiting[0]), {"Content-Type": "application/json"})
        response = client.getresponse()
        if response.status == 200 and json.loads(response.read()) == {}:
            self.acknowledged.update(self.waiting.pop(0))
            self.on_success()


def kill_after(kill: threading.Event, number: int) -> Callable[[], None]:
    left = iter(range(number))
    return lambda: None if next(left, None) is not None else kill.set()


def body(uids: list[str]) -> bytes:
    day_ns = int(datetime.now(timezone.utc).timestamp()) // 86_400 * 86_400 * 10**9
    records = [
        {
            "timeUnixNano": str(day_ns),
            "eventName": "deepchecks.run-check",
            "attributes": [
                {"key": "log.record.uid", "value": {"stringValue": uid}},
                {"key": "deepchecks.event.count", "value": {"intValue": "1"}},
            ],
        }
        for uid in uids
    ]
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in RESOURCE.items()]
    group = {"resource": {"attributes": attributes}, "scopeLogs": [{"logRecords": records}]}
    return json.dumps({"resourceLogs": [group]}).encode()


def run_round(store: Path, chance: random.Random, unacknowledged: list[list[str]]) -> tuple[set[str], set[str]]:
    """Serve, load, kill; unacknowledged batches are sent again in the next round."""
    command = [sys.executable, "-m", "deepchecks_telemetry.collector", str(store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        address = urlsplit(child.stdout.readline().strip()).netloc
        kill = threading.Event()
        senders = [Sender(address, kill_after(kill, chance.randint(1, 20))) for _ in range(SENDERS)]
        for sender in senders:
            sender.waiting += unacknowledged[:1]
            del unacknowledged[:1]
            sender.start()
        # At any time, or right after a response: a row that is not stored before its response is then lost.
        kill.wait(chance.choice([chance.uniform(0.02, 0.4), 5]))
        child.kill()
    for sender in senders:
        sender.ended = True
        sender.join(30)
        unacknowledged += sender.waiting
    return set().union(*(s.attempted for s in senders)), set().union(*(s.acknowledged for s in senders))


def uids_in(store: Path) -> list[str]:
    with closing(sqlite3.connect(store)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [uid for (uid,) in connection.execute("SELECT uid FROM rows")]


def test_a_killed_collector_has_stored_each_acknowledged_row_once(tmp_path: Path, in_full: bool) -> None:
    store, chance = tmp_path / "store.db", random.Random(SEED)
    attempted: set[str] = set()
    acknowledged: set[str] = set()
    unacknowledged: list[list[str]] = []
    rounds = ROUNDS_IN_FULL if in_full else ROUNDS
    for number in range(1, rounds + 1):
        newly_attempted, newly_acknowledged = run_round(store, chance, unacknowledged)
        attempted |= newly_attempted
        acknowledged |= newly_acknowledged
        if number % CHECKED == 0 or number == rounds:
            stored = uids_in(store)
            assert len(stored) == len(set(stored))
            assert acknowledged <= set(stored) <= attempted
    assert acknowledged
    assert report(store).total.events == len(stored)
    print(f"\n{rounds} kills: {len(attempted)} rows attempted, {len(acknowledged)} acknowledged, {len(stored)} stored")
