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
def usb_stick(tmp_path: Path) -> Path:
    """An empty directory."""
    folder = tmp_path / "stick"
    folder.mkdir()
    return folder


@pytest.fixture
def exported(deepchecks: Run, record: Record, usb_stick: Path) -> Path:
    """An exported file of two events in one batch."""
    assert record("run-check", "run-suite") == [True, True]
    assert deepchecks("export", str(usb_stick)).returncode == 0
    (file,) = usb_stick.iterdir()
    return file


def read_counts(deepchecks: Run, *names: str, **variables: str) -> list[Any]:
    """The values of these names in the report of `status`."""
    report = json.loads(deepchecks("status", "--json", **variables).stdout)
    return [report[name] for name in names]
