"""The released deepchecks on every Python: each event is counted exactly once, and its own telemetry is off."""

import importlib.metadata
import importlib.util
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import MACHINE

from deepchecks_telemetry.hooks.compatibility import missing_targets

Run = Callable[..., subprocess.CompletedProcess[str]]
Counts = dict[str, int]
LastJson = Callable[[subprocess.CompletedProcess[str]], Any]

SCRIPTS = Path(__file__).with_name("scripts")
AT_IMPORT = str(SCRIPTS / "at_import.py")
# Variables that libraries of scikit-learn set when deepchecks imports them.
OPENMP = {"KMP_INIT_AT_FORK", "KMP_DUPLICATE_LIB_OK"}
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not importlib.util.find_spec("deepchecks"), reason="deepchecks is not installed"),
]


@pytest.mark.parametrize("how", ["before", "during", "after", "file"])
def test_everything_in_tabular_is_counted_once(
    run: Run, recorded: Callable[[], Counts], last_json: LastJson, interpreter: Callable[[str], str], how: str
) -> None:
    wandb = "wandb" if importlib.util.find_spec("wandb") else "none"
    script = str(SCRIPTS / "tabular.py")
    result = last_json(run("-W", "ignore", script, how, wandb, python=interpreter(how)))
    assert recorded() == result["done"]
    assert result["warned_at"] == [script]
    assert (result["pickles"], result["still_pickles"], result["bound"]) == (True, True, "run")
    # If attached after the import, deepchecks has already made its request; it makes no other, even when reloaded.
    assert result["at_import"] == (["open"] if how == "after" else [])
    assert (result["later"], result["new_variables"]) == ([], [])


def test_spawned_workers_count_their_runs_and_no_second_import(
    run: Run, recorded: Callable[[], Counts], last_json: LastJson, attached: str
) -> None:
    done = last_json(run("-W", "ignore", str(SCRIPTS / "workers.py"), "spawn", python=attached))
    assert recorded() == done


@pytest.mark.parametrize("mode", ["on", "local", "off"])
def test_an_attached_import_opens_no_socket_and_writes_no_file_if_no_server_responds(
    run: Run, recorded: Callable[[], Counts], last_json: LastJson, attached: str, released: Path, mode: str
) -> None:
    """In each mode, with an endpoint that could be sent to."""
    variables = {"DEEPCHECKS_TELEMETRY": mode, "DEEPCHECKS_TELEMETRY_ENDPOINT": "https://collector.test"}
    result = last_json(
        run(
            "-W",
            "ignore",
            AT_IMPORT,
            python=attached,
            PYTHONPATH=f"{released.parent}{os.pathsep}{MACHINE}",
            **variables,
        )
    )
    assert (result["opened"], set(result["variables"]) - OPENMP) == ([], set())
    assert result["file"] == str(released / "__init__.py")
    assert not (released / ".user_id").exists()
    assert recorded() == ({} if mode == "off" else {"package-import": 1})


def test_the_released_import_does_both(run: Run, last_json: LastJson, released: Path) -> None:
    """Without this package, the script does detect sockets and files, so the test above is meaningful."""
    result = last_json(run("-W", "ignore", AT_IMPORT, PYTHONPATH=f"{released.parent}{os.pathsep}{MACHINE}"))
    assert result["opened"] == [".user_id", "getaddrinfo", "socket.getaddrinfo", "socket.connect"]
    assert (released / ".user_id").exists()


@pytest.mark.parametrize("switch", ["DISABLE_DEEPCHECKS_ANONYMOUS_TELEMETRY", "DISABLE_LATEST_VERSION_CHECK"])
def test_the_switches_of_deepchecks_turn_this_package_off(
    run: Run, last_json: LastJson, tmp_path: Path, attached: str, switch: str
) -> None:
    assert last_json(run("-W", "ignore", AT_IMPORT, python=attached, **{switch: "0"}))["opened"] == []
    assert not (tmp_path / "home").exists()


def test_every_target_exists() -> None:
    assert missing_targets() == ()
    assert importlib.metadata.version("deepchecks") == "0.19.1"


def test_results_pickled_while_attached_load_without_this_package(run: Run, recorded: Callable[[], Counts]) -> None:
    pickles = str(SCRIPTS / "pickles.py")
    run("-W", "ignore", pickles, "save")
    counts = recorded()
    assert counts == {"package-import": 1, "run-check": 1, "run-suite": 1}
    run("-W", "ignore", pickles, "load")
    assert recorded() == counts
