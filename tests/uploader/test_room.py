"""The room's face: its names are pinned, and each is there."""

import subprocess
import sys

import pytest

from deepchecks_telemetry import uploader

NAMES = [
    "BadEndpoint",
    "BadFile",
    "CannotWrite",
    "Endpoint",
    "NotAllowed",
    "Sent",
    "UploadError",
    "configure",
    "deliver",
    "export",
    "find_endpoint",
    "flush",
    "render",
    "seal_next",
    "settle_receipt",
    "upload_if_due",
]


def test_the_rooms_names_are_these_in_order() -> None:
    assert uploader.__all__ == NAMES == sorted(NAMES)
    for name in NAMES:
        assert getattr(uploader, name).__module__.startswith("deepchecks_telemetry.uploader.")


def test_another_name_is_an_attribute_error_that_says_which() -> None:
    with pytest.raises(AttributeError, match="'flsh'"):
        uploader.flsh  # noqa: B018


def test_looking_whether_an_upload_is_due_loads_no_http() -> None:
    script = (
        "import sys; from deepchecks_telemetry.uploader import upload_if_due; upload_if_due('https://a.example')\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    heavy = {"requests", "urllib3", "click", "sqlite_utils", "filelock", "pandas", "ssl", "http.client"}
    assert heavy & set(done.stdout.split()) == set()
    assert done.stderr == ""
