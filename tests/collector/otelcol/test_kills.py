"""Client -> Collector -> embedded collector: the Collector is killed, its disk full, its sink away; each event once."""

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from deepchecks_telemetry.collector import report
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.catalogue import EVENT_NUMBERS
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.flush import flush
from deepchecks_telemetry.uploader.offline.export import export

if TYPE_CHECKING:
    from tests.collector.otelcol.conftest import Otelcol, Relay

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]
SEED = 20_261
KILLS, KILLS_IN_FULL = 5, 60
TRIES, TRIES_IN_FULL = 100, 2_880  # two days of one try a minute, which is the longest pause of otelcol.yaml
ROWS = 400
Change = Callable[..., dict[str, Any]]
Start = Callable[..., "Otelcol"]
Fields = Callable[..., dict[str, Any]]


class Client:
    """The real client, and beside it a sender of large batches; both send again what was not acknowledged."""

    def __init__(self, url: str, request_of: Fields, record_of: Fields) -> None:
        self.url, self.home = f"{url}/v1/logs", find_home()
        self.request_of, self.record_of = request_of, record_of
        self.recorded = Counter[str]()
        self.acknowledged: set[str] = set()
        self.waiting: dict[str, Any] | None = None
        self.answers = Counter[int]()
        self.refusal = ""

    def send(self, chance: random.Random) -> None:
        """One round: some events and a flush, then a batch of many rows."""
        for _ in range(chance.randrange(1, 30)):
            event = chance.choice(list(EVENT_NUMBERS))
            assert record(event)
            self.recorded[event] += 1
        self.flush()
        with suppress(requests.RequestException):  # the Collector was killed
            self.send_many()

    def flush(self) -> None:
        list(flush(self.home, Endpoint(self.url, "a campaign"), parked=True))

    def send_many(self) -> None:
        if self.waiting is None:
            self.waiting = self.request_of(*(self.record_of("run-suite", "1") for _ in range(ROWS)))
        response = requests.post(self.url, json=self.waiting, timeout=20)
        self.answers[response.status_code] += 1
        if response.status_code == 200:
            self.acknowledged.update(uids_of(self.waiting))
            self.waiting = None
        else:
            self.refusal = response.text

    def finish(self) -> None:
        """Send until everything is acknowledged."""
        while self.waiting is not None:
            with suppress(requests.RequestException):
                self.send_many()
        while read_accounts(self.home).rows:
            self.flush()

    @property
    def events(self) -> Counter[str]:
        """What must arrive: counted here, not by the code under test."""
        return self.recorded + Counter({"run-suite": len(self.acknowledged)})


def uids_of(request: dict[str, Any]) -> list[str]:
    records = request["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    return [str(entry["attributes"][0]["value"]["stringValue"]) for entry in records]


def stored_events(store: Path) -> Counter[str]:
    return Counter({event: cell.events for event, cell in report(store).by["event"].items()})


def wait_for(store: Path, events: Counter[str], *, timeout_s: float = 120) -> None:
    """Wait until the store has this many events, then a moment longer, because a row may arrive twice."""
    deadline = time.monotonic() + timeout_s
    while (report(store).total.events or 0) < events.total():
        assert time.monotonic() < deadline, (stored_events(store), events)
        time.sleep(0.2)
    time.sleep(1)
    assert stored_events(store) == events


def kill_often(collector: "Otelcol", kills: int, chance: random.Random, load: Callable[[], None]) -> None:
    """Kill the Collector at a random time under load, and start it again."""
    for _ in range(kills):
        killer = threading.Timer(chance.uniform(0.01, 0.6), collector.kill)
        killer.start()
        while killer.is_alive():
            load()
        killer.join()
        load()  # nothing listens
        collector.start()


@pytest.fixture
def client(request_of: Fields, record: Fields) -> Callable[[str], Client]:
    return lambda url: Client(url, request_of, record)


def test_a_killed_collector_with_a_sink_that_comes_and_goes_delivers_each_event_once(
    start: Start, to_sink: Change, relay: "Relay", store: Path, client: Callable[[str], Client], in_full: bool
) -> None:
    chance, begun = random.Random(SEED), time.monotonic()
    collector = start(**to_sink(relay.url))
    sender = client(collector.url)
    relay.lose_responses = True  # some rows are then sent twice, which the embedded collector must count once
    kills = KILLS_IN_FULL if in_full else KILLS

    def load() -> None:
        relay.away = chance.random() < 0.3
        sender.send(chance)

    kill_often(collector, kills, chance, load)
    relay.away = relay.lose_responses = False
    sender.finish()
    wait_for(store, sender.events)
    assert sender.acknowledged <= set(relay.seen)
    assert relay.duplicates
    print(
        f"\n{kills} kills, {sender.events.total()} events in {len(relay.seen)} rows, {relay.duplicates} sent twice, "
        f"each counted once, {relay.refused} requests refused by the sink, {time.monotonic() - begun:.0f} s"
    )


def test_a_sink_that_is_away_for_two_days_gets_each_event_once(
    start: Start, to_sink: Change, relay: "Relay", store: Path, client: Callable[[str], Client], in_full: bool
) -> None:
    """The pauses between tries are 10 ms instead of a minute; the Collector is killed meanwhile, too."""
    chance, begun = random.Random(SEED), time.monotonic()
    collector = start(**to_sink(relay.url))
    sender = client(collector.url)
    relay.away = True
    tries = TRIES_IN_FULL if in_full else TRIES
    while relay.refused < tries:
        sender.send(chance)
        if chance.random() < 0.05:
            kill_often(collector, 1, chance, lambda: sender.send(chance))
    assert not store.exists() or report(store).total.events == 0
    relay.away = False
    sender.finish()
    wait_for(store, sender.events)
    print(
        f"\n{relay.refused} tries in vain, {sender.events.total()} events in {len(relay.seen)} rows, "
        f"{relay.duplicates} sent twice, each counted once, {time.monotonic() - begun:.0f} s"
    )


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a small disk, or changes its size."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def resize(size: str) -> Path:
        again = "remount," if folder.is_mount() else ""
        mount = ["mount", "-t", "tmpfs", "-o", f"{again}size={size}", "tmpfs", str(folder)]
        if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("only root can mount a file system")
        return folder

    yield resize
    if folder.is_mount():
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=30)


def test_a_full_disk_loses_nothing_that_was_acknowledged(
    start: Start,
    to_sink: Change,
    relay: "Relay",
    store: Path,
    client: Callable[[str], Client],
    disk: Callable[[str], Path],
) -> None:
    chance, begun = random.Random(SEED), time.monotonic()
    relay.away = True
    changes = to_sink(relay.url)
    changes["extensions"] = {"file_storage/queue": {"directory": str(disk("4m") / "queue")}}
    collector = start(**changes)
    sender = client(collector.url)
    while sender.answers[503] < 20:
        sender.send(chance)
    assert set(sender.answers) == {200, 503}
    assert "no space left on device" in sender.refusal
    collector.kill()  # also with a full disk the queue can be read again
    disk("64m")
    collector.start()
    relay.away = False
    sender.finish()
    wait_for(store, sender.events)
    print(
        f"{sender.events.total()} events in {len(relay.seen)} rows, {relay.duplicates} sent twice, each counted once, "
        f"{time.monotonic() - begun:.0f} s"
    )


def with_files(changes: dict[str, Any], folder: Path, **queue: Any) -> dict[str, Any]:
    """Let the Collector read the exported files of a directory, with these settings of its queue."""
    files = {"include": [f"{folder}/*.jsonl"], "start_at": "beginning", "poll_interval": "20ms"}
    changes["receivers"] = {"jsonfile": {**files, "storage": "file_storage/queue"}}
    changes["exporters"]["otlp_http"]["sending_queue"] |= queue
    changes["service"]["pipelines"]["logs"]["receivers"] = ["otlp", "jsonfile"]
    return changes


def record_and_export(folder: Path, chance: random.Random) -> Counter[str]:
    recorded = Counter(chance.choices(list(EVENT_NUMBERS), k=chance.randrange(1, 30)))
    assert all(record(event) for event in recorded.elements())
    list(export(find_home(), str(folder)))
    return recorded


def test_exported_files_are_read_once_by_a_killed_collector(
    start: Start, to_sink: Change, relay: "Relay", store: Path, stick: Path, in_full: bool
) -> None:
    chance, begun, recorded = random.Random(SEED), time.monotonic(), Counter[str]()
    collector = start(**with_files(to_sink(relay.url), stick, block_on_overflow=True))

    def load() -> None:
        recorded.update(record_and_export(stick, chance))
        time.sleep(0.02)

    kills = KILLS_IN_FULL if in_full else KILLS
    kill_often(collector, kills, chance, load)
    wait_for(store, recorded)
    print(
        f"\n{kills} kills, {len(list(stick.iterdir()))} files, {recorded.total()} events in {len(relay.seen)} rows, "
        f"{relay.duplicates} sent twice, each counted once, {time.monotonic() - begun:.0f} s"
    )


@pytest.mark.parametrize("block", [True, False])
def test_a_full_queue_makes_the_reader_of_files_wait_only_if_it_blocks(
    start: Start, to_sink: Change, relay: "Relay", store: Path, stick: Path, block: bool
) -> None:
    """The reason for `block_on_overflow` in docs/fleet.md: otherwise a line that is refused is skipped."""
    chance, recorded = random.Random(SEED), Counter[str]()
    full = {"queue_size": 10, "batch": {"min_size": 1, "max_size": 10}}
    collector = start(**with_files(to_sink(relay.url), stick, block_on_overflow=block, **full))
    relay.away = True
    for _ in range(10):
        recorded += record_and_export(stick, chance)
    if not block:
        deadline = time.monotonic() + 30
        while "failed to emit token" not in collector.log.read_text("utf-8"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    relay.away = False
    if block:
        wait_for(store, recorded)
    else:
        time.sleep(3)
        assert 0 < (report(store).total.events or 0) < recorded.total()
