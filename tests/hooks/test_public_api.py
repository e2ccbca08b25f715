"""The public names of hooks, and the modules that attaching loads."""

import subprocess
from collections.abc import Callable

from deepchecks_telemetry import hooks

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_the_public_names_are_these() -> None:
    assert hooks.__all__ == [
        "TARGETS",
        "HooksError",
        "Target",
        "attach",
        "deepchecks_folder",
        "install_file",
        "installed_file",
        "missing_targets",
        "old_user_id",
        "remove_file",
        "remove_user_id",
        "stale_file",
    ]


def test_attaching_loads_no_deepchecks_and_no_spool(run: Run) -> None:
    code = (
        "import sys; from deepchecks_telemetry.hooks import attach; attach()\n"
        "print([n for n in sys.modules if n.split('.')[0] in ('deepchecks', 'sqlite3', 'requests', 'click', 'ast')\n"
        "       or n.startswith('deepchecks_telemetry.') and not n.startswith('deepchecks_telemetry.hooks')])"
    )
    assert run("-c", code).stdout == "[]\n"
