"""The public names of hooks, and the modules that attaching loads."""

import subprocess
import sys
from collections.abc import Callable

from deepchecks_telemetry import hooks

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_attach_is_the_only_public_name() -> None:
    assert hooks.__all__ == ["attach"]


def test_attaching_loads_no_deepchecks_and_no_spool(run: Run) -> None:
    unwanted = ["deepchecks", "sqlite3", "requests", "click"]
    if sys.version_info < (3, 14):
        unwanted.append("ast")  # from 3.14 on typing.NamedTuple loads it
    code = (
        "import sys; from deepchecks_telemetry.hooks import attach; attach()\n"
        f"print([n for n in sys.modules if n.split('.')[0] in {unwanted}\n"
        "       or n.startswith('deepchecks_telemetry.') and not n.startswith('deepchecks_telemetry.hooks')])"
    )
    assert run("-c", code).stdout == "[]\n"
