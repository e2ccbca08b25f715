"""The public names of hooks, and the modules that attaching loads."""

import subprocess
import sys
from collections.abc import Callable

from deepchecks_telemetry import hooks

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_attach_is_the_only_public_name() -> None:
    assert hooks.__all__ == ["attach"]


def test_attaching_loads_no_deepchecks_no_spool_and_nothing_for_commands(run: Run) -> None:
    unwanted = ["deepchecks", "sqlite3", "requests", "click"]
    if sys.version_info < (3, 14):
        unwanted.append("ast")  # from 3.14 on typing.NamedTuple loads it
    commands = [f"deepchecks_telemetry.hooks.{name}" for name in ("builtin_telemetry", "compatibility", "pth")]
    code = (
        "import sys; from deepchecks_telemetry.hooks import attach; attach()\n"
        f"print([n for n in sys.modules if n.split('.')[0] in {unwanted} or n in {commands}\n"
        "       or n.startswith('deepchecks_telemetry.') and not n.startswith('deepchecks_telemetry.hooks')])"
    )
    assert run("-c", code).stdout == "[]\n"
