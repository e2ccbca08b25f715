"""A USB stick, an exported file on it, an interrupted command, and the counts of `status`."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]


@pytest.fixture
def exported(deepchecks: Run, record: Record, stick: Path) -> Path:
    """An exported file of two events in one batch."""
    assert record("run-check", "run-suite") == [True, True]
    assert deepchecks("export", str(stick)).returncode == 0
    (file,) = stick.iterdir()
    return file


@pytest.fixture
def interrupt(receiver: Any) -> Callable[..., tuple[int, str, str]]:
    """Sends Ctrl-C to a command while the receiver holds its request; returns the exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        receiver.arrived, receiver.hold = threading.Event(), threading.Event()
        # A background process of a shell without job control, which may run these tests, ignores SIGINT.
        script = (
            "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            f"from deepchecks_telemetry.cli import main; sys.argv[1:] = ['telemetry', *{arguments!r}]; main()"
        )
        command, pipe = [sys.executable, "-c", script], subprocess.PIPE
        child = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
        assert receiver.arrived.wait(60)
        child.send_signal(signal.SIGINT)
        try:
            out, err = child.communicate(timeout=8)
        except subprocess.TimeoutExpired:  # Python ignores a KeyboardInterrupt in a destructor; a person tries again
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=60)
        receiver.hold.set()
        return child.returncode, out, err

    return run


def read_counts(deepchecks: Run, *names: str, **variables: str) -> list[Any]:
    """The values of these names in the report of `status`."""
    report = json.loads(deepchecks("status", "--json", **variables).stdout)
    return [report[name] for name in names]
