"""By strace: in `local` and `off` no process of this package opens a socket for the user's own events."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import LOCAL, OFF, ON
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.uploader.endpoint import configure

pytestmark = [pytest.mark.timeout(600)]

NOWHERE = "http://127.0.0.1:9"  # the discard port, which refuses immediately
HOST = """
import os, sys, time
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.uploader import upload_if_due
for name in ("package-import", "run-check"):
    record(name)
upload_if_due("http://127.0.0.1:9")
"""
COMMANDS = [
    *("status", "inspect", "preview", "sent", "catalogue", "doctor", "flush", "flush --now --exported"),
    *("export {stick}", "settle {receipt}", "{mode}"),
]
OPENED = re.compile(r"\b(?:socket|connect|sendto|sendmsg)\((.*)")


@pytest.fixture
def traced(tool: Callable[[str], str], tmp_path: Path) -> Callable[[list[str]], list[str]]:
    """Runs a command with all its children, and returns the system calls on sockets, except AF_UNIX."""
    strace = tool("strace")

    def run(command: list[str]) -> list[str]:
        log = tmp_path / "strace.log"
        calls = ["-e", "trace=socket,connect,sendto,sendmsg"]
        done = subprocess.run([strace, "-f", "-o", str(log), *calls, *command], capture_output=True, timeout=120)
        calls_on_sockets = [match[1] for line in log.read_text().splitlines() if (match := OPENED.search(line))]
        if b"ptrace" in done.stderr:
            pytest.skip("processes cannot be traced on this machine")
        return [call for call in calls_on_sockets if "AF_UNIX" not in call]

    return run


def cli(words: str) -> list[str]:
    return [sys.executable, "-m", "deepchecks_telemetry.cli", "telemetry", *words.split()]


@pytest.fixture
def due(spool: Home) -> Home:
    """A spool whose upload is due, with an endpoint that the user set."""
    assert record("run-suite")
    configure(spool, NOWHERE)
    choose(spool, ON)
    with opened(spool) as connection:
        connection.execute("UPDATE spool SET next_upload = 0")
    return spool


@pytest.mark.parametrize("source", ["choice", "environment"])
@pytest.mark.parametrize("mode", [LOCAL, OFF])
def test_no_process_opens_a_socket_in_local_and_off(
    due: Home,
    mode: str,
    source: str,
    traced: Callable[[list[str]], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if source == "choice":
        choose(due, mode)
    else:
        monkeypatch.setenv("DEEPCHECKS_TELEMETRY", mode)
    receipt = tmp_path / "receipt.json"
    receipt.write_text("not a receipt")
    (tmp_path / "stick").mkdir()
    assert traced([sys.executable, "-c", HOST]) == []
    for words in COMMANDS:
        last = "local" if mode == LOCAL else "disable"
        assert traced(cli(words.format(stick=tmp_path / "stick", receipt=receipt, mode=last))) == [], words


def test_the_trace_finds_the_socket_of_an_upload(due: Home, traced: Callable[[list[str]], list[str]]) -> None:
    assert any("htons(9)" in call for call in traced([sys.executable, "-c", HOST]))  # strace -f waits for the child
    assert any("htons(9)" in call for call in traced(cli("flush")))


def test_no_socket_is_opened_without_an_endpoint(due: Home, traced: Callable[[list[str]], list[str]]) -> None:
    os.unlink(os.path.join(due.config, "endpoint"))
    assert traced([sys.executable, "-c", HOST.replace('"http://127.0.0.1:9"', "")]) == []
    assert traced(cli("flush")) == []
