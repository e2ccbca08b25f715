"""`local`: events are recorded and never sent."""

from collections.abc import Callable
from subprocess import CompletedProcess
from typing import Any

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]


def test_local_records_and_never_sends(deepchecks: Run, record: Record, receiver: Any) -> None:
    deepchecks("enable", "--endpoint", receiver.url)
    assert deepchecks("local").stdout == "Telemetry is local, for all environments of this user.\n"
    assert record("run-check") == [True]
    done = deepchecks("flush")
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == "Error: Nothing was sent: telemetry is local, decided by your choice. Run: deepchecks telemetry enable\n"
    )
    assert "run-check" in deepchecks("preview").stdout
    assert receiver.bodies == []
