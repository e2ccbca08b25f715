"""A USB stick, an exported file on it, and the counts of `status`."""

import json
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


def read_counts(deepchecks: Run, *names: str, **variables: str) -> list[Any]:
    """The values of these names in the report of `status`."""
    report = json.loads(deepchecks("status", "--json", **variables).stdout)
    return [report[name] for name in names]
