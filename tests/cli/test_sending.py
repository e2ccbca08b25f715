"""Each sentence about sending against what then happens: a real receiver counts what arrives.

Every scenario is set up twice. Once an import that is due and its child run by themselves, once a person types `flush`.
Before that, every command that reports says what will happen, and none of them sends.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple

import pytest

from deepchecks_telemetry.spool.recording.record import record
from deepchecks_telemetry.uploader import background
from deepchecks_telemetry.uploader.background import upload_if_due

Run = Callable[..., CompletedProcess[str]]
Sql = Callable[..., list[Any]]
POLICY, USER, VARIABLE = "the administrator's policy", "your choice", "DEEPCHECKS_TELEMETRY_ENDPOINT"
DAY_S = 86_400


class World:
    """What a scenario can arrange."""

    def __init__(self, deepchecks: Run, sql: Sql, home: Path, receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.deepchecks, self.sql, self.home, self.receiver = deepchecks, sql, home, receiver
        self.url, self.patch = f"{receiver.url}/v1/logs", monkeypatch
        self.host = receiver.url.removeprefix("http://")
        self.attached: str | None = None

    def record(self, *names: str) -> None:
        for name in names or ("run-check",):
            assert record(name)

    def policy(self, name: str, text: str) -> None:
        folder = Path(os.environ["XDG_CONFIG_DIRS"], "deepchecks", "telemetry")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{text}\n")

    def config(self, name: str, text: str) -> None:
        (self.home / "config").mkdir(exist_ok=True, mode=0o700, parents=True)
        (self.home / "config" / name).write_text(f"{text}\n")

    def variable(self, name: str, value: str) -> None:
        self.patch.setenv(name, value)

    def attach(self) -> None:
        """The library brings the endpoint, as its import has noted."""
        self.attached = self.receiver.url
        upload_if_due(self.attached)

    def park(self, times: int = 1, *, days_ago: int = 0) -> None:
        self.config("endpoint", self.receiver.url)
        self.receiver.status = 413
        for _ in range(times):
            self.record()
            assert self.deepchecks("flush").returncode == 1
        self.receiver.status = 200
        self.sql("UPDATE batches SET tried_at = tried_at - ?", days_ago * DAY_S)

    def ask_for_a_pause(self, host: str) -> None:
        self.sql("INSERT INTO retry_after VALUES (?, unixepoch() + 3600)", host)

    def be_due(self) -> None:
        if (self.home / "state" / "spool.db").is_file():
            self.sql("UPDATE spool SET next_upload = unixepoch() - 1")


class Scenario(NamedTuple):
    """How it is arranged; what holds up the automatic upload; how many requests it, and `flush`, then makes."""

    arrange: Callable[[World], object]
    blocked_by: str | None
    automatic: int
    flushed: int
    left: bool = True  # whether `flush` fails, because something is left


def steps(*each: Callable[[World], object]) -> Callable[[World], object]:
    """One after the other."""

    def arrange(world: World) -> None:
        for step in each:
            step(world)

    return arrange


def pending(*each: Callable[[World], object]) -> Callable[[World], object]:
    """Three events are pending, then these steps."""
    return steps(lambda world: world.record("run-check", "run-check", "run-suite"), *each)


def mine(world: World) -> None:
    world.config("endpoint", world.receiver.url)


def elsewhere(world: World) -> None:
    world.config("endpoint", "http://127.0.0.1:9")


def fence(world: World) -> None:
    mine(world)
    world.sql("UPDATE spool SET epoch = epoch + 1")
    world.config("mode", "on")


def future(world: World) -> None:
    mine(world)
    world.sql("UPDATE events SET day = day + 1 WHERE event > 0")


def damage(world: World) -> None:
    world.sql("UPDATE batches SET packed = x'00', tried_at = NULL")
    assert world.deepchecks("flush").returncode == 1  # it is noted


def spoil(world: World) -> None:
    mine(world)
    for path in (world.home / "state").glob("spool.db*"):
        path.unlink()
    (world.home / "state" / "spool.db").mkdir()


SCENARIOS = {
    "nothing set": Scenario(pending(), "no-endpoint", 0, 0),
    "never used": Scenario(mine, "nothing-pending", 0, 0, left=False),
    "the user's endpoint": Scenario(pending(mine), None, 1, 1, left=False),
    "the environment's endpoint": Scenario(
        pending(elsewhere, lambda world: world.variable(VARIABLE, world.receiver.url)), None, 1, 1, left=False
    ),
    "the policy's endpoint": Scenario(
        pending(
            elsewhere,
            lambda world: world.variable(VARIABLE, "http://127.0.0.1:9"),
            lambda world: world.policy("endpoint", world.receiver.url),
        ),
        *(None, 1, 1),
        left=False,
    ),
    "deepchecks' endpoint before its notice": Scenario(pending(World.attach), "notice", 0, 1, left=False),
    "and on, chosen before": Scenario(
        pending(lambda world: world.deepchecks("enable"), World.attach), "notice", 0, 1, left=False
    ),
    "and on, chosen with it in force": Scenario(
        pending(World.attach, lambda world: world.deepchecks("enable")), None, 1, 1, left=False
    ),
    "deepchecks' endpoint after its notice": Scenario(
        pending(lambda world: world.config("notice", world.url), World.attach), None, 1, 1, left=False
    ),
    "and the administrator's on": Scenario(
        pending(lambda world: world.policy("mode", "on"), World.attach), None, 1, 1, left=False
    ),
    "off by the policy": Scenario(pending(mine, lambda world: world.policy("mode", "off")), "mode", 0, 0),
    "local by the policy": Scenario(pending(mine, lambda world: world.policy("mode", "local")), "mode", 0, 0),
    "off by a variable": Scenario(pending(mine, lambda world: world.variable("DO_NOT_TRACK", "1")), "mode", 0, 0),
    "local by choice": Scenario(pending(mine, lambda world: world.deepchecks("local")), "mode", 0, 0),
    "an unknown value": Scenario(
        pending(mine, lambda world: world.variable("DEEPCHECKS_TELEMETRY", "true")), "mode", 0, 0
    ),
    "an unknown value in the policy": Scenario(
        pending(mine, lambda world: world.policy("mode", "maybe")), "mode", 0, 0
    ),
    "an invalid endpoint of the policy": Scenario(
        pending(mine, lambda world: world.policy("endpoint", "collector")), "invalid-endpoint", 0, 0
    ),
    "an invalid endpoint of the environment": Scenario(
        pending(mine, lambda world: world.variable(VARIABLE, "collector")), "invalid-endpoint", 0, 0
    ),
    "an invalid endpoint of the user": Scenario(
        pending(lambda world: world.config("endpoint", "http://8.8.8.8")), "invalid-endpoint", 0, 0
    ),
    "a closed fence": Scenario(pending(fence), "fence", 0, 0),
    "a spool that cannot be read": Scenario(pending(spoil), "spool", 0, 0),
    "the receiver asked for a pause": Scenario(
        pending(mine, lambda world: world.ask_for_a_pause(world.host)), "retry-after", 0, 0
    ),
    "another receiver asked for a pause": Scenario(
        pending(mine, lambda world: world.ask_for_a_pause("b.example")), None, 1, 1, left=False
    ),
    "parked lately": Scenario(lambda world: world.park(2), "parked", 0, 2, left=False),
    "parked a week ago": Scenario(lambda world: world.park(2, days_ago=8), None, 2, 2, left=False),
    "parked, and something pending": Scenario(steps(World.park, World.record), None, 1, 2, left=False),
    "as many parked as there may be": Scenario(
        steps(lambda world: world.park(8), World.record), "parked", 0, 9, left=False
    ),
    "parked and damaged": Scenario(steps(World.park, damage), "parked", 0, 0),
    "dated tomorrow": Scenario(pending(future), "future-day", 0, 0),
    "all delivered": Scenario(
        pending(mine, lambda world: world.deepchecks("flush")), "nothing-pending", 0, 0, left=False
    ),
}


@pytest.fixture
def world(deepchecks: Run, sql: Sql, home: Path, receiver: Any, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(background, "_start", run_child)
    return World(deepchecks, sql, home, receiver, monkeypatch)


def run_child(_: str, attached: str | None) -> None:
    """The child as the host starts it, but waited for."""
    command = [sys.executable, "-m", "deepchecks_telemetry.uploader", *([attached] if attached else [])]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def said_by(world: World, scenario: Scenario) -> dict[str, Any]:
    """What all of them say, once it is seen to be the same and that none of them sends."""
    before = len(world.receiver.bodies)
    status: dict[str, Any] = json.loads(world.deepchecks("status", "--json").stdout)
    sentence: str = status["sending"]
    assert (status["blocked_by"], sentence) != (None, "")
    assert sentence in world.deepchecks("status").stdout
    (upload,) = [each for each in json.loads(world.deepchecks("doctor", "--json").stdout) if each["name"] == "upload"]
    assert f"{upload['text']}." == sentence
    if status["recorded"] is not None:
        assert status["mode"] == "off" or sentence in world.deepchecks("preview").stderr
        after_sealing = json.loads(world.deepchecks("status", "--json").stdout)["sending"]
        assert after_sealing == sentence
        page = world.deepchecks("view", "--output", "-").stdout
        assert sentence.replace("'", "&#x27;") in page
    assert status["blocked_by"] == scenario.blocked_by
    assert len(world.receiver.bodies) == before
    return status


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_is_said_of_the_automatic_upload_is_what_it_does(name: str, world: World) -> None:
    scenario = SCENARIOS[name]
    scenario.arrange(world)
    before = len(world.receiver.bodies)
    status = said_by(world, scenario)
    world.be_due()
    upload_if_due(world.attached)
    sent = len(world.receiver.bodies) - before
    assert sent == scenario.automatic
    assert status["sends"] or sent == 0
    assert (status["endpoint"] == world.url) or sent == 0
    assert status["blocked_by"] is not None or sent > 0
    assert sent == 0 or json.loads(world.deepchecks("status", "--json").stdout)["last_upload"]["outcome"] == "delivered"


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_is_said_of_flush_is_what_it_does(name: str, world: World) -> None:
    scenario = SCENARIOS[name]
    scenario.arrange(world)
    before = len(world.receiver.bodies)
    status = said_by(world, scenario)
    done = world.deepchecks("flush")
    sent = len(world.receiver.bodies) - before
    assert sent == scenario.flushed
    assert done.returncode == int(scenario.left), done.stderr
    assert (f"Sending to {world.url} (set by {status['endpoint_from']}).\n" in done.stderr) is (sent > 0)
    assert ("delivered" in done.stdout) is (sent > 0)
    if sent == 0 and scenario.left:
        assert done.stderr.startswith("Error: ")
        assert done.stderr.count("\n") == 1
    after = json.loads(world.deepchecks("status", "--json").stdout)
    if sent:  # it was printed, so `status` agrees
        assert (after["sends"], after["blocked_by"]) == (True, "nothing-pending")


def test_flush_now_is_the_way_around_a_pause_that_it_says_it_is(world: World) -> None:
    SCENARIOS["the receiver asked for a pause"].arrange(world)
    refused = world.deepchecks("flush")
    assert "Run: deepchecks telemetry flush --now" in refused.stderr
    assert world.receiver.bodies == []
    assert world.deepchecks("flush", "--now").returncode == 0
    assert len(world.receiver.bodies) == 1


def test_an_import_that_is_not_due_starts_nothing(world: World) -> None:
    SCENARIOS["the user's endpoint"].arrange(world)
    upload_if_due()  # the first one plans
    planned = json.loads(world.deepchecks("status", "--json").stdout)["next_upload"]
    assert planned > time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + DAY_S))
    upload_if_due()
    assert world.receiver.bodies == []
    assert planned in world.deepchecks("status").stdout
