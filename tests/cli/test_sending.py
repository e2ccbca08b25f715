"""Each printed sentence about sending is compared with what happens next: a real receiver counts the requests.

Every scenario is set up twice, once for the automatic upload and once for `flush`. Before that, every reporting command
must print the same sentence about sending, and none of them may send.
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

from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.recording.record import close, record
from deepchecks_telemetry.uploader.background import upload_if_due
from deepchecks_telemetry.uploader.child import start

Run = Callable[..., CompletedProcess[str]]
Sql = Callable[..., list[Any]]
POLICY, USER, VARIABLE = "the administrator's policy", "your choice", "DEEPCHECKS_TELEMETRY_ENDPOINT"
DAY_S = 86_400


class World:
    """What a scenario can set up."""

    def __init__(self, deepchecks: Run, sql: Sql, home: Path, receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.deepchecks, self.sql, self.home, self.receiver = deepchecks, sql, home, receiver
        self.url, self.patch = f"{receiver.url}/v1/logs", monkeypatch
        self.host = receiver.url.removeprefix("http://")
        self.attached: str | None = None

    def record(self, *names: str) -> None:
        for name in names or ("run-check",):
            assert record(name)

    def policy(self, name: str, text: str) -> None:
        folder = Path(find_home().policy)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{text}\n")

    def config(self, name: str, text: str) -> None:
        (self.home / "config").mkdir(exist_ok=True, mode=0o700, parents=True)
        (self.home / "config" / name).write_text(f"{text}\n")

    def variable(self, name: str, value: str) -> None:
        self.patch.setenv(name, value)

    def attach(self) -> None:
        """The library sets the endpoint, as its import records it."""
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

    def request_retry_after(self, host: str) -> None:
        self.sql("INSERT INTO retry_after VALUES (?, unixepoch() + 3600)", host)

    def make_due(self) -> None:
        if (self.home / "state" / "spool.db").is_file():
            self.sql("UPDATE spool SET next_upload = unixepoch() - 1")


class Scenario(NamedTuple):
    """How it is set up; what blocks the automatic upload; how many requests the upload, and `flush`, then make."""

    arrange: Callable[[World], object]
    blocked_by: str | None
    automatic: int
    flushed: int
    left: bool = True  # whether `flush` fails because events are left


def steps(*all_steps: Callable[[World], object]) -> Callable[[World], object]:
    """Run these steps in order."""

    def arrange(world: World) -> None:
        for step in all_steps:
            step(world)

    return arrange


def pending(*all_steps: Callable[[World], object]) -> Callable[[World], object]:
    """Record three events, then run these steps."""
    return steps(lambda world: world.record("run-check", "run-check", "run-suite"), *all_steps)


def set_endpoint(world: World) -> None:
    world.config("endpoint", world.receiver.url)


def set_other_endpoint(world: World) -> None:
    world.config("endpoint", "http://127.0.0.1:9")


def close_fence(world: World) -> None:
    set_endpoint(world)
    world.sql("UPDATE spool SET epoch = epoch + 1")
    world.config("mode", "on")


def date_tomorrow(world: World) -> None:
    set_endpoint(world)
    world.sql("UPDATE events SET day = day + 1 WHERE event > 0")


def damage_batches(world: World) -> None:
    world.sql("UPDATE batches SET packed = x'00', tried_at = NULL")
    assert world.deepchecks("flush").returncode == 1  # it is recorded as the outcome


def replace_spool(world: World) -> None:
    set_endpoint(world)
    close()  # Windows does not remove an open file
    for path in (world.home / "state").glob("spool.db*"):
        path.unlink()
    (world.home / "state" / "spool.db").mkdir()


SCENARIOS = {
    "no endpoint": Scenario(pending(), "no-endpoint", 0, 0),
    "never used": Scenario(set_endpoint, "nothing-pending", 0, 0, left=False),
    "the user's endpoint": Scenario(pending(set_endpoint), None, 1, 1, left=False),
    "the environment's endpoint": Scenario(
        pending(set_other_endpoint, lambda world: world.variable(VARIABLE, world.receiver.url)), None, 1, 1, left=False
    ),
    "the policy's endpoint": Scenario(
        pending(
            set_other_endpoint,
            lambda world: world.variable(VARIABLE, "http://127.0.0.1:9"),
            lambda world: world.policy("endpoint", world.receiver.url),
        ),
        *(None, 1, 1),
        left=False,
    ),
    "deepchecks' endpoint before its notice": Scenario(pending(World.attach), "notice", 0, 1, left=False),
    "deepchecks' endpoint, and on chosen before": Scenario(
        pending(lambda world: world.deepchecks("enable"), World.attach), "notice", 0, 1, left=False
    ),
    "deepchecks' endpoint, and on chosen with it in force": Scenario(
        pending(World.attach, lambda world: world.deepchecks("enable")), None, 1, 1, left=False
    ),
    "deepchecks' endpoint after its notice": Scenario(
        pending(lambda world: world.config("notice", world.url), World.attach), None, 1, 1, left=False
    ),
    "deepchecks' endpoint, and the administrator's on": Scenario(
        pending(lambda world: world.policy("mode", "on"), World.attach), None, 1, 1, left=False
    ),
    "off by the policy": Scenario(pending(set_endpoint, lambda world: world.policy("mode", "off")), "mode", 0, 0),
    "local by the policy": Scenario(pending(set_endpoint, lambda world: world.policy("mode", "local")), "mode", 0, 0),
    "off by a variable": Scenario(
        pending(set_endpoint, lambda world: world.variable("DO_NOT_TRACK", "1")), "mode", 0, 0
    ),
    "local by choice": Scenario(pending(set_endpoint, lambda world: world.deepchecks("local")), "mode", 0, 0),
    "an unknown value": Scenario(
        pending(set_endpoint, lambda world: world.variable("DEEPCHECKS_TELEMETRY", "true")), "mode", 0, 0
    ),
    "an unknown value in the policy": Scenario(
        pending(set_endpoint, lambda world: world.policy("mode", "maybe")), "mode", 0, 0
    ),
    "an invalid endpoint of the policy": Scenario(
        pending(set_endpoint, lambda world: world.policy("endpoint", "collector")), "invalid-endpoint", 0, 0
    ),
    "an invalid endpoint of the environment": Scenario(
        pending(set_endpoint, lambda world: world.variable(VARIABLE, "collector")), "invalid-endpoint", 0, 0
    ),
    "an invalid endpoint of the user": Scenario(
        pending(lambda world: world.config("endpoint", "http://8.8.8.8")), "invalid-endpoint", 0, 0
    ),
    "a closed fence": Scenario(pending(close_fence), "fence", 0, 0),
    "a spool that cannot be read": Scenario(pending(replace_spool), "spool", 0, 0),
    "Retry-After of this receiver": Scenario(
        pending(set_endpoint, lambda world: world.request_retry_after(world.host)), "retry-after", 0, 0
    ),
    "Retry-After of another receiver": Scenario(
        pending(set_endpoint, lambda world: world.request_retry_after("b.example")), None, 1, 1, left=False
    ),
    "parked recently": Scenario(lambda world: world.park(2), "parked", 0, 2, left=False),
    "parked a week ago": Scenario(lambda world: world.park(2, days_ago=8), None, 2, 2, left=False),
    "parked, and an event pending": Scenario(steps(World.park, World.record), None, 1, 2, left=False),
    "the maximum of parked batches": Scenario(
        steps(lambda world: world.park(8), World.record), "parked", 0, 9, left=False
    ),
    "parked and damaged": Scenario(steps(World.park, damage_batches), "parked", 0, 0),
    "dated tomorrow": Scenario(pending(date_tomorrow), "future-day", 0, 0),
    "all delivered": Scenario(
        pending(set_endpoint, lambda world: world.deepchecks("flush")), "nothing-pending", 0, 0, left=False
    ),
}


@pytest.fixture
def world(deepchecks: Run, sql: Sql, home: Path, receiver: Any, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(start, "start", run_uploader)
    return World(deepchecks, sql, home, receiver, monkeypatch)


def run_uploader(_: str, attached: str | None) -> None:
    """Run the uploader process as the host starts it, and wait for it."""
    command = [sys.executable, "-m", "deepchecks_telemetry.uploader", *([attached] if attached else [])]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def reported(world: World, scenario: Scenario) -> dict[str, Any]:
    """The report of `status`, after a check that all commands print its sentence and that none of them sends."""
    before = len(world.receiver.bodies)
    status: dict[str, Any] = json.loads(world.deepchecks("status", "--json").stdout)
    sentence: str = status["sending"]
    assert (status["blocked_by"], sentence) != (None, "")
    assert sentence in world.deepchecks("status").stdout
    findings = json.loads(world.deepchecks("doctor", "--json").stdout)
    (upload,) = [finding for finding in findings if finding["name"] == "upload"]
    assert f"{upload['text']}." == sentence.replace(os.path.expanduser("~"), "~")
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
def test_the_sentence_about_the_automatic_upload_is_true(name: str, world: World) -> None:
    scenario = SCENARIOS[name]
    scenario.arrange(world)
    before = len(world.receiver.bodies)
    status = reported(world, scenario)
    world.make_due()
    upload_if_due(world.attached)
    sent = len(world.receiver.bodies) - before
    assert sent == scenario.automatic
    assert status["sends"] or sent == 0
    assert (status["endpoint"] == world.url) or sent == 0
    assert status["blocked_by"] is not None or sent > 0
    assert sent == 0 or json.loads(world.deepchecks("status", "--json").stdout)["last_upload"]["outcome"] == "delivered"


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_sentence_about_flush_is_true(name: str, world: World) -> None:
    scenario = SCENARIOS[name]
    scenario.arrange(world)
    before = len(world.receiver.bodies)
    status = reported(world, scenario)
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
    if sent:  # flush has printed the endpoint, which counts as its notice
        assert (after["sends"], after["blocked_by"]) == (True, "nothing-pending")


def test_flush_now_sends_despite_retry_after(world: World) -> None:
    SCENARIOS["Retry-After of this receiver"].arrange(world)
    refused = world.deepchecks("flush")
    assert "Run: deepchecks telemetry flush --now" in refused.stderr
    assert world.receiver.bodies == []
    assert world.deepchecks("flush", "--now").returncode == 0
    assert len(world.receiver.bodies) == 1


def test_an_import_before_the_upload_is_due_starts_nothing(world: World) -> None:
    SCENARIOS["the user's endpoint"].arrange(world)
    upload_if_due()  # the first one schedules the upload
    scheduled = json.loads(world.deepchecks("status", "--json").stdout)["next_upload"]
    assert scheduled > time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + DAY_S))
    upload_if_due()
    assert world.receiver.bodies == []
    assert scheduled in world.deepchecks("status").stdout
