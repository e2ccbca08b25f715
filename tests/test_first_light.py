"""End to end, with nothing replaced: the real deepchecks, another virtual environment, a real collector.

Three counts must agree: the script's own, the previewed body's, and the collector's output.
"""

import json
import os
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

SCRIPT = Path(__file__).parent / "first_light_script.py"
RECORD_BLOCK = re.compile(r"EventName: deepchecks\.([a-z-]+).*?deepchecks\.event\.count: Int\((\d+)\)", re.DOTALL)


@pytest.fixture
def other_python() -> str:
    """The interpreter of another virtual environment in which our package is installed; nox creates it."""
    path = os.environ.get("OTHER_PYTHON")
    if path is None:
        pytest.skip("OTHER_PYTHON names no second virtual environment; `nox -s real` makes one")
    return path


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A rotel that prints what it receives: its base URL and the file that it prints to."""
    rotel = pytest.importorskip("rotel.agent")
    ports = _free_ports(2)
    output = tmp_path / "rotel.out"
    addresses = ("--otlp-http-endpoint", f"127.0.0.1:{ports[0]}", "--otlp-grpc-endpoint", f"127.0.0.1:{ports[1]}")
    debug = ("--debug-log", "logs", "--debug-log-verbosity", "detailed", "--exporter", "blackhole")
    files = ("--pid-file", str(tmp_path / "rotel.pid"), "--log-file", str(tmp_path / "rotel.log"))
    with output.open("wb") as out:
        child = subprocess.Popen(
            [str(rotel.agent.agent_path), "start", *addresses, *debug, *files], stdout=out, stderr=out
        )
    try:
        _wait_for(ports[0], child)
        yield f"http://127.0.0.1:{ports[0]}", output
    finally:
        child.terminate()
        child.wait(10)


def test_host_spool_and_collector_count_the_same_events(
    other_python: str, collector: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new user's run of deepchecks arrives at a real collector as previewed, and as the script counted."""
    monkeypatch.delenv("DEEPCHECKS_TELEMETRY")  # the default is on
    url, output = collector
    counted = json.loads(_run([sys.executable, str(SCRIPT)], tmp_path).splitlines()[-1])

    inspected = Counter[str]()
    for row in json.loads(_telemetry(other_python, tmp_path, "inspect", "--json")):
        assert row["deepchecks_version"] == "0.19.1"
        inspected[row["event"]] += row["count"]
    assert inspected == counted

    body = _telemetry(other_python, tmp_path, "preview")
    assert _counts_in(body) == counted

    _telemetry(other_python, tmp_path, "enable", "--endpoint", url)
    _telemetry(other_python, tmp_path, "flush")
    received = _until_received(output, sum(counted.values()))
    assert received == counted
    assert _telemetry(other_python, tmp_path, "sent", "1") == body

    _telemetry(other_python, tmp_path, "disable")
    left = [path for path in (tmp_path / "home").rglob("*") if path.is_file() and _names_an_event(path.read_bytes())]
    assert left == []


@pytest.mark.parametrize("switch", ["DEEPCHECKS_TELEMETRY=off", "DO_NOT_TRACK=1"])
def test_with_a_switch_set_no_file_is_created(switch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same script, with a switch set, creates neither a spool nor a directory for it."""
    monkeypatch.delenv("DEEPCHECKS_TELEMETRY")
    monkeypatch.setenv(*switch.split("="))
    _run([sys.executable, str(SCRIPT)], tmp_path)
    assert not (tmp_path / "home").exists()


def _telemetry(python: str, folder: Path, *arguments: str) -> bytes:
    return _run([python, "-m", "deepchecks_telemetry.cli", "telemetry", *arguments], folder)


def _run(command: list[str], folder: Path) -> bytes:
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def _counts_in(body: bytes) -> Counter[str]:
    """Read a request's counts without our code."""
    counts = Counter[str]()
    for match in re.finditer(rb'"intValue":"(\d+)"\}\}\],"eventName":"deepchecks\.([a-z-]+)"', body):
        counts[match[2].decode()] += int(match[1])
    return counts


def _until_received(output: Path, total: int) -> Counter[str]:
    """Read the collector's output until it has printed `total` events, or the test's timeout."""
    counts = Counter[str]()
    while counts.total() < total:
        counts = Counter[str]()
        for name, count in RECORD_BLOCK.findall(output.read_text("utf-8")):
            counts[name] += int(count)
    return counts


def _names_an_event(content: bytes) -> bool:
    return any(name in content for name in (b"run-check", b"run-suite", b"package-import", b"suite-to-"))


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def _wait_for(port: int, child: "subprocess.Popen[bytes]") -> None:
    while child.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    pytest.fail("the collector did not start")
