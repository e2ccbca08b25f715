"""What two people came for is one command each: is anything sent, and what exactly; off everywhere, and proven."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]

PATIENCE_S = 5.0  # a person's; some 0.2 s where nobody else is at work
STATUS_S = 0.3


def test_is_anything_sent_from_this_machine_and_what_exactly(program: Run, record: Record) -> None:
    assert record("run-check") == [True]
    started = time.monotonic()
    done = program("preview")
    assert time.monotonic() - started < PATIENCE_S
    (logs,) = json.loads(done.stdout)["resourceLogs"]
    assert logs["scopeLogs"][0]["logRecords"][0]["eventName"] == "deepchecks.run-check"
    assert done.stderr.splitlines()[-1] == "Nothing is sent: no endpoint is set."


def test_the_same_as_a_picture(program: Run, record: Record, tmp_path: Path) -> None:
    assert record("run-check") == [True]
    started = time.monotonic()
    assert program("view", "--output", "all.html").returncode == 0
    assert time.monotonic() - started < PATIENCE_S
    page = (tmp_path / "all.html").read_text("utf-8")
    assert "Nothing is sent: no endpoint is set." in page
    assert "{&quot;resourceLogs&quot;:" in page


def test_turn_it_off_everywhere_and_prove_it(program: Run, record: Record, tmp_path: Path) -> None:
    assert record("run-check") == [True]
    program("preview")
    started = time.monotonic()
    done = program("disable")
    assert time.monotonic() - started < PATIENCE_S
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Telemetry is off, for all environments of this user.\n")
    assert done.stdout.endswith(": no recorded data is left.\n")
    assert record("run-check") == [False]
    assert [path for path in tmp_path.rglob("*") if path.is_file() and b"run-check" in path.read_bytes()] == []


@pytest.mark.skipif(os.name == "nt", reason="the time of the processor that a child took is known elsewhere only")
def test_status_takes_less_than_a_third_of_a_second_of_the_processor(program: Run, record: Record) -> None:
    import resource

    def taken() -> float:
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        return spent.ru_utime + spent.ru_stime

    assert record("run-check") == [True]
    times = []
    for _ in range(4):
        before = taken()
        assert program("status").returncode == 0
        times.append(taken() - before)
    assert min(times) < STATUS_S, times
