"""The room's face: its names are pinned, and each is there."""

import subprocess
import sys
import time

import pytest

from deepchecks_telemetry import uploader
from deepchecks_telemetry.spool import Home
from deepchecks_telemetry.spool.open import opened

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


def test_where_none_is_due_looking_loads_nothing_that_reads_a_url(spool: Home) -> None:
    script = """
import sys
before = set(sys.modules)
from deepchecks_telemetry.uploader import upload_if_due
upload_if_due(sys.argv[1] or None)
print(*set(sys.modules) - before)
"""
    unwanted = {"typing", "re", "contextlib", "dataclasses", "importlib", "ipaddress", "urllib", "random", "subprocess"}
    for attached, due in (("", None), ("https://a.example", int(time.time()) + 3_600)):
        with opened(spool) as connection:
            connection.execute("UPDATE spool SET next_upload = ?", (due,))
        command = [sys.executable, "-c", script, attached]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        loaded = set(done.stdout.split())
        assert "deepchecks_telemetry.uploader.endpoint" in loaded
        assert loaded & unwanted == set()


def test_looking_whether_an_upload_is_due_loads_no_http() -> None:
    script = (
        "import sys; from deepchecks_telemetry.uploader import upload_if_due; upload_if_due('https://a.example')\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    heavy = {"requests", "urllib3", "click", "sqlite_utils", "filelock", "pandas", "ssl", "http.client"}
    assert heavy & set(done.stdout.split()) == set()
    assert done.stderr == ""
