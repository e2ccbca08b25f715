"""The public interface of the package for a host program, and the modules that a check loads if nothing is due."""

import subprocess
import sys
import time

from deepchecks_telemetry import uploader
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.files.paths import Home


def test_upload_if_due_is_the_only_public_name() -> None:
    assert uploader.__all__ == ["upload_if_due"]
    assert uploader.upload_if_due is sys.modules["deepchecks_telemetry.uploader.background"].upload_if_due


def test_a_check_that_finds_nothing_due_loads_no_large_module(spool: Home) -> None:
    script = """
import sys
before = set(sys.modules)
from deepchecks_telemetry.uploader import upload_if_due
upload_if_due(sys.argv[1] or None)
print(*set(sys.modules) - before)
"""
    unwanted = {"requests", "filelock", "sqlite_utils", "click"}
    for attached, due in (("", None), ("https://a.example", int(time.time()) + 3_600)):
        with opened(spool) as connection:
            connection.execute("UPDATE spool SET next_upload = ?", (due,))
        command = [sys.executable, "-c", script, attached]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        loaded = set(done.stdout.split())
        assert "deepchecks_telemetry.uploader.setting" in loaded
        assert "deepchecks_telemetry.uploader.endpoint" not in loaded
        assert loaded & unwanted == set()


def test_checking_whether_an_upload_is_due_loads_no_http() -> None:
    script = (
        "import sys; from deepchecks_telemetry.uploader import upload_if_due; upload_if_due('https://a.example')\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    heavy = {"requests", "urllib3", "click", "sqlite_utils", "filelock", "pandas", "ssl", "http.client"}
    assert heavy & set(done.stdout.split()) == set()
    assert done.stderr == ""
