"""On the released deepchecks, for every Python: each event exactly once, and its own telemetry off."""

import importlib.metadata
import importlib.util
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import MACHINE

from deepchecks_telemetry.hooks import missing_targets

Run = Callable[..., subprocess.CompletedProcess[str]]
Counts = dict[str, int]
Said = Callable[[subprocess.CompletedProcess[str]], Any]

SCRIPTS = Path(__file__).with_name("scripts")
AT_IMPORT = str(SCRIPTS / "at_import.py")
# What scikit-learn's libraries set, and deepchecks' import has to do with by importing them.
OPENMP = {"KMP_INIT_AT_FORK", "KMP_DUPLICATE_LIB_OK"}
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not importlib.util.find_spec("deepchecks"), reason="deepchecks is not installed"),
]


@pytest.mark.parametrize("how", ["before", "during", "after", "file"])
def test_everything_in_tabular_is_counted_once(
    run: Run, recorded: Callable[[], Counts], said: Said, interpreter: Callable[[str], str], how: str
) -> None:
    wandb = "wandb" if importlib.util.find_spec("wandb") else "none"
    script = str(SCRIPTS / "tabular.py")
    found = said(run("-W", "ignore", script, how, wandb, python=interpreter(how)))
    assert recorded() == found["done"]
    assert found["warned_at"] == [script]
    assert (found["pickles"], found["still_pickles"], found["bound"]) == (True, True, "run")
    # Attached after the import, deepchecks has already made its request; it makes no other, even when it is reloaded.
    assert found["at_import"] == (["open"] if how == "after" else [])
    assert (found["later"], found["new_variables"]) == ([], [])


def test_spawned_workers_count_their_runs_and_no_second_import(
    run: Run, recorded: Callable[[], Counts], said: Said, attached: str
) -> None:
    done = said(run("-W", "ignore", str(SCRIPTS / "workers.py"), "spawn", python=attached))
    assert recorded() == done


@pytest.mark.parametrize("mode", ["on", "local", "off"])
def test_attached_it_opens_no_socket_and_writes_no_file_in_a_black_hole(
    run: Run, recorded: Callable[[], Counts], said: Said, attached: str, released: Path, mode: str
) -> None:
    """In each mode, with an endpoint that would be sent to."""
    variables = {"DEEPCHECKS_TELEMETRY": mode, "DEEPCHECKS_TELEMETRY_ENDPOINT": "https://collector.test"}
    found = said(
        run(
            "-W",
            "ignore",
            AT_IMPORT,
            python=attached,
            PYTHONPATH=f"{released.parent}{os.pathsep}{MACHINE}",
            **variables,
        )
    )
    assert (found["heard"], set(found["variables"]) - OPENMP) == ([], set())
    assert found["file"] == str(released / "__init__.py")
    assert not (released / ".user_id").exists()
    assert recorded() == ({} if mode == "off" else {"package-import": 1})


def test_as_released_it_does_both(run: Run, said: Said, released: Path) -> None:
    """What the test above listens for is there to be heard."""
    found = said(run("-W", "ignore", AT_IMPORT, PYTHONPATH=f"{released.parent}{os.pathsep}{MACHINE}"))
    assert found["heard"] == [".user_id", "getaddrinfo", "socket.getaddrinfo", "socket.connect"]
    assert (released / ".user_id").exists()


@pytest.mark.parametrize("switch", ["DISABLE_DEEPCHECKS_ANONYMOUS_TELEMETRY", "DISABLE_LATEST_VERSION_CHECK"])
def test_its_own_switches_are_off_for_ours(run: Run, said: Said, tmp_path: Path, attached: str, switch: str) -> None:
    assert said(run("-W", "ignore", AT_IMPORT, python=attached, **{switch: "0"}))["heard"] == []
    assert not (tmp_path / "home").exists()


def test_every_seam_is_where_the_map_says() -> None:
    assert missing_targets() == ()
    assert importlib.metadata.version("deepchecks") == "0.19.1"


def test_results_pickled_while_attached_load_where_we_are_not_installed(
    run: Run, recorded: Callable[[], Counts]
) -> None:
    pickles = str(SCRIPTS / "pickles.py")
    run("-W", "ignore", pickles, "save")
    counts = recorded()
    assert counts == {"package-import": 1, "run-check": 1, "run-suite": 1}
    run("-W", "ignore", pickles, "load")
    assert recorded() == counts
