"""The vision part, which needs torch and therefore its own nox session: each event is counted exactly once.

Tested with torch 2.13.0, the CPU build, on Python 3.11; a module with the one imported name replaces torchvision.
"""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
Counts = dict[str, int]
LastJson = Callable[[subprocess.CompletedProcess[str]], Any]

SCRIPT = str(Path(__file__).with_name("scripts") / "vision.py")
NEEDED = ("deepchecks", "torch", "ignite", "cv2", "skimage")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not all(map(importlib.util.find_spec, NEEDED)), reason="`nox -s vision` installs torch"),
]


@pytest.mark.parametrize("how", ["before", "after", "file"])
def test_everything_in_vision_is_counted_once(
    run: Run, recorded: Callable[[], Counts], last_json: LastJson, request: pytest.FixtureRequest, how: str
) -> None:
    python = request.getfixturevalue("attached") if how == "file" else sys.executable
    done = last_json(run("-W", "ignore", SCRIPT, how, python=python))
    assert recorded() == done
