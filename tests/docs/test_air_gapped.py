"""Runs every command of docs/air-gapped.md on three simulated machines: directories, or network namespaces."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "air-gapped.md"
BLOCK = re.compile(r"<!-- on: (\w+) -->\n```sh\n(.*?)```", re.DOTALL)
EVENTS = {"run-check": 3, "run-suite": 1, "suite-to-json": 2}
RECORD = """
from deepchecks_telemetry.spool import record
for name, count in {!r}.items():
    for _ in range(count):
        assert record(name)
"""
PATIENCE_S = 30
pytestmark = [pytest.mark.skipif(sys.platform == "win32", reason="the page is for sh"), pytest.mark.timeout(300)]


class Machine:
    """A simulated machine: its own directory and, if possible, its own network namespace."""

    def __init__(self, folder: Path, prefix: list[str], **variables: str) -> None:
        self.folder, self.prefix = folder, prefix
        folder.mkdir()
        # The commands of the page run with this interpreter.
        path = os.pathsep.join([str(self._commands(folder)), os.environ["PATH"]])
        self.environ = {**os.environ, "DEEPCHECKS_TELEMETRY_DIR": str(folder / "home"), "PATH": path, **variables}
        self.environ.pop("DEEPCHECKS_TELEMETRY", None)

    @staticmethod
    def _commands(folder: Path) -> Path:
        directory = folder / "bin"
        directory.mkdir()
        for name, module in (("deepchecks", " -m deepchecks_telemetry.cli"), ("python", "")):
            (directory / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n')
            (directory / name).chmod(0o700)
        return directory

    def run(self, script: str) -> str:
        command = [*self.prefix, "/bin/sh", "-eu", "-c", script]
        done = subprocess.run(command, env=self.environ, cwd=self.folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (script, done.stdout, done.stderr)
        return done.stdout

    def python(self, script: str) -> None:
        subprocess.run([*self.prefix, sys.executable, "-c", script], env=self.environ, check=True, timeout=60)

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.run("deepchecks telemetry status --json"))
        return status


class World:
    """The isolated machines, the connected one, and the machine of the receiver, at the address `receiver`."""

    def __init__(self, folder: Path, prefixes: dict[str, list[str]], receiver: str) -> None:
        self.receiver = receiver
        stick, share = folder / "stick", folder / "share"
        stick.mkdir()
        share.mkdir()
        variables = {"STICK": str(stick), "SHARE": str(share)}
        self.stick, self.share = stick, share
        self.isolated = Machine(folder / "isolated", prefixes["isolated"], **variables)
        self.sharing = Machine(folder / "sharing", prefixes["isolated"], **variables)
        self.connected = Machine(folder / "connected", prefixes["connected"], DO_NOT_TRACK="1", **variables)
        self.receiving = Machine(folder / "receiving", prefixes["receiving"])


def namespaces(tag: str) -> Iterator[dict[str, list[str]]]:
    """The isolated machine has no network; a cable connects the connected and the receiving one."""
    names = {name: f"dct-{tag}-{name}" for name in ("isolated", "connected", "receiving")}
    near, far = f"dct{tag}a", f"dct{tag}b"
    try:
        for name in names.values():
            ip("netns", "add", name)
        ip("link", "add", near, "netns", names["connected"], "type", "veth", "peer", far, "netns", names["receiving"])
        for name, cable, address in (("connected", near, "10.77.0.1/24"), ("receiving", far, "10.77.0.2/24")):
            ip("-n", names[name], "addr", "add", address, "dev", cable)
            for device in ("lo", cable):
                ip("-n", names[name], "link", "set", device, "up")
        yield {name: ["ip", "netns", "exec", names[name]] for name in names}
    finally:
        for name in names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=30)


def ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=30)
    if done.returncode:
        pytest.skip(f"network namespaces cannot be created on this machine: {done.stderr.strip()}")


@pytest.fixture(params=["folders", "namespaces"])
def world(request: pytest.FixtureRequest, tmp_path: Path, tool: Callable[[str], str]) -> Iterator[World]:
    if request.param == "folders":
        yield World(tmp_path, {"isolated": [], "connected": [], "receiving": []}, "127.0.0.1")
        return
    tool("ip")
    if os.geteuid() != 0:
        pytest.skip("only root can create network namespaces")
    with contextmanager(namespaces)(f"{os.getpid() % 100_000:05}") as prefixes:
        yield World(tmp_path, prefixes, "10.77.0.2")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,10.77.0.2")
    monkeypatch.setenv("no_proxy", "127.0.0.1,10.77.0.2")


@contextmanager
def listening(command: list[str], machine: Machine, output: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with output.open("wb") as out:
        child = subprocess.Popen(
            [*machine.prefix, *command], env=machine.environ, cwd=machine.folder, stdout=out, stderr=out
        )
    try:
        yield child
    finally:
        child.terminate()
        child.wait(PATIENCE_S)


def wait_until(condition: Callable[[], bool], child: "subprocess.Popen[bytes]", output: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert child.poll() is None, output.read_text()
        assert time.monotonic() < deadline, output.read_text()
        threading.Event().wait(0.02)


def run_page(world: World, on: str, section: str) -> str:
    """Run the unchanged blocks of one section on one machine."""
    text = PAGE.read_text("utf-8").split(f"\n## {section}", 1)[1].split("\n## ")[0]
    blocks = [script for name, script in BLOCK.findall(text) if name == on]
    assert blocks
    return "".join(getattr(world, on).run(script) for script in blocks)


def deliver_and_settle(world: World) -> None:
    """Deliver and settle twice; the second time changes nothing."""
    for _ in range(2):
        run_page(world, "connected", "2.")
        run_page(world, "isolated", "3.")
        status = world.isolated.status()
        total = sum(EVENTS.values())
        assert [status[name] for name in ("recorded", "delivered", "exported", "pending")] == [total, total, 0, 0]


def test_every_command_of_the_page_is_run_by_this_test() -> None:
    text = PAGE.read_text("utf-8")
    assert text.count("```sh") == len(BLOCK.findall(text)) == 5
    assert {name for name, _ in BLOCK.findall(text)} == {"isolated", "sharing", "connected"}


def test_the_commands_of_the_page_deliver_to_the_collector_of_this_package(world: World, tmp_path: Path) -> None:
    pytest.importorskip("uvicorn")
    output, store = tmp_path / "collector.out", tmp_path / "collector.db"
    serve = [sys.executable, "-u", "-m", "deepchecks_telemetry.cli", "telemetry", "collector", "serve"]
    world.isolated.python(RECORD.format(EVENTS))
    world.sharing.python(RECORD.format({"run-suite": 1}))
    preview = json.loads(run_page(world, "isolated", "1.").partition("event  ")[0].partition("\n")[2])
    assert list(preview) == ["resourceLogs"]
    assert world.isolated.status()["exported"] == sum(EVENTS.values())
    with listening(
        [*serve, "--host", world.receiver, "--port", "0", "--store", str(store)], world.receiving, output
    ) as it:
        wait_until(lambda: b"Listening on http" in output.read_bytes(), it, output)
        world.connected.environ["RECEIVER"] = re.findall(r"http://\S+", output.read_text())[0]
        deliver_and_settle(world)
        run_page(world, "sharing", "1.")
        for file in world.share.iterdir():
            file.rename(world.stick / file.name)
        run_page(world, "connected", "2.")
    report = world.receiving.run(f"deepchecks telemetry collector report --json --min-cell 1 --store {store}")
    events = {name: cell["events"] for name, cell in json.loads(report)["fields"]["event"].items()}
    assert events == {**EVENTS, "run-suite": 2}
    assert not (world.connected.folder / "home" / "state").exists()


@pytest.mark.real
def test_the_commands_of_the_page_deliver_to_a_real_collector(world: World, tmp_path: Path) -> None:
    rotel = pytest.importorskip("rotel.agent")
    output = tmp_path / "rotel.out"
    command = [str(rotel.agent.agent_path), "start", "--otlp-http-endpoint", f"{world.receiver}:14318"]
    command += ["--otlp-grpc-endpoint", f"{world.receiver}:14317", "--exporter", "blackhole", "--debug-log", "logs"]
    command += [
        "--debug-log-verbosity",
        "detailed",
        "--pid-file",
        str(tmp_path / "pid"),
        "--log-file",
        str(tmp_path / "log"),
    ]
    world.isolated.python(RECORD.format(EVENTS))
    run_page(world, "isolated", "1.")
    with listening(command, world.receiving, output) as child:
        probe = f"import socket; socket.create_connection(('{world.receiver}', 14318), 1)"
        reach = [*world.connected.prefix, sys.executable, "-c", probe]
        wait_until(lambda: subprocess.run(reach, capture_output=True, timeout=30).returncode == 0, child, output)
        world.connected.environ["RECEIVER"] = f"http://{world.receiver}:14318"
        deliver_and_settle(world)
        wait_until(lambda: received(output).total() >= sum(EVENTS.values()), child, output)
    assert received(output) == EVENTS


def received(output: Path) -> Counter[str]:
    """The counts that the collector printed, parsed independently of the code under test."""
    record = re.compile(r"EventName: deepchecks\.([a-z-]+).*?deepchecks\.event\.count: Int\((\d+)\)", re.DOTALL)
    counts = Counter[str]()
    for name, count in record.findall(output.read_text("utf-8")):
        counts[name] += int(count)
    return counts
