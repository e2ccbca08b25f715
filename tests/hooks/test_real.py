"""On the deepchecks that is released: every event exactly once, its own voice silent, nothing else changed."""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.hooks import deepchecks_folder, missing_seams, old_user_id, remove_user_id

Run = Callable[..., subprocess.CompletedProcess[str]]
Counts = dict[str, int]
Said = Callable[[subprocess.CompletedProcess[str]], Any]

SCRIPTS = Path(__file__).with_name("scripts")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not importlib.util.find_spec("deepchecks"), reason="deepchecks is not installed"),
]


def has(*modules: str) -> bool:
    return all(map(importlib.util.find_spec, modules))


@pytest.fixture
def interpreters(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """The interpreter that a way of attaching needs."""
    return lambda how: request.getfixturevalue("opted_in") if how == "file" else sys.executable


@pytest.mark.parametrize("how", ["before", "during", "after", "file"])
def test_everything_in_tabular_is_counted_once(
    run: Run, recorded: Callable[[], Counts], said: Said, interpreters: Callable[[str], str], how: str
) -> None:
    wandb = "wandb" if has("wandb") else "none"
    script = str(SCRIPTS / "tabular.py")
    found = said(run("-W", "ignore", script, how, wandb, python=interpreters(how)))
    assert recorded() == found["done"]
    assert found["warned_at"] == [script]
    assert (found["pickles"], found["still_pickles"], found["bound"]) == (True, True, "run")
    # Attached after the import, deepchecks has already spoken; from then on it is silent, also when it is reloaded.
    assert found["at_import"] == (["open"] if how == "after" else [])
    assert (found["later"], found["new_variables"]) == ([], [])


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver", "loky", "os.fork"])
@pytest.mark.skipif(os.name != "posix", reason="fork is POSIX's")
def test_workers_count_their_runs_and_no_second_import(
    run: Run, recorded: Callable[[], Counts], said: Said, opted_in: str, how: str
) -> None:
    done = said(run("-W", "ignore", str(SCRIPTS / "workers.py"), how, python=opted_in))
    assert recorded() == done


@pytest.mark.skipif(not has("textblob", "transformers", "seqeval"), reason="deepchecks' NLP part is not installed")
@pytest.mark.parametrize("how", ["before", "file"])
def test_everything_in_nlp_is_counted_once(
    run: Run, recorded: Callable[[], Counts], said: Said, interpreters: Callable[[str], str], how: str
) -> None:
    done = said(run("-W", "ignore", str(SCRIPTS / "nlp.py"), how, python=interpreters(how)))
    assert recorded() == done


QUIET = """
import os, sys
heard = []
def hear(event, arguments):
    if event.startswith("socket.") and event != "socket.__new__" and event != "socket.gethostname":
        heard.append(event)
    if event == "open" and isinstance(arguments[0], str) and "site-packages" in arguments[0]:
        flags = arguments[2]
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and "__pycache__" not in arguments[0]:
            heard.append(arguments[0])
sys.addaudithook(hear)
variables = dict(os.environ)
import deepchecks
assert heard == [], heard
assert dict(os.environ).keys() - variables.keys() <= {"KMP_INIT_AT_FORK", "KMP_DUPLICATE_LIB_OK"}, os.environ
"""


@pytest.mark.parametrize("mode", ["on", "local", "off"])
def test_its_own_voice_is_silent_in_every_mode(
    run: Run, recorded: Callable[[], Counts], opted_in: str, mode: str
) -> None:
    run("-W", "ignore", "-c", QUIET, python=opted_in, DEEPCHECKS_TELEMETRY=mode)
    assert recorded() == ({} if mode == "off" else {"package-import": 1})


@pytest.mark.parametrize("switch", ["DISABLE_DEEPCHECKS_ANONYMOUS_TELEMETRY", "DISABLE_LATEST_VERSION_CHECK"])
def test_its_own_switches_are_off_for_ours(run: Run, tmp_path: Path, opted_in: str, switch: str) -> None:
    run("-W", "ignore", "-c", QUIET, python=opted_in, **{switch: "0"})
    assert not (tmp_path / "home").exists()


def test_the_maintainers_one_line_is_enough(run: Run, recorded: Callable[[], Counts], tmp_path: Path) -> None:
    """A patched copy of the released package, made here and thrown away."""
    folder = deepchecks_folder()
    assert folder is not None
    copy = tmp_path / "patched" / "deepchecks"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
    source = (copy / "__init__.py").read_text(encoding="utf-8")
    line = "from deepchecks_telemetry.hooks import attach; attach(endpoint='http://127.0.0.1:9')\n"
    (copy / "__init__.py").write_text(re.sub(r"(?m)^import matplotlib$", line + r"\g<0>", source), encoding="utf-8")
    code = (
        f"{QUIET}\nassert deepchecks.__file__.startswith({str(tmp_path)!r})\n"
        "import pandas as pd; from deepchecks.tabular.checks import IsSingleValue\n"
        "IsSingleValue().run(pd.DataFrame({'a': [1, 2]}))"
    )
    run("-W", "ignore", "-c", code, PYTHONPATH=str(copy.parent), DEEPCHECKS_TELEMETRY="local")
    assert recorded() == {"package-import": 1, "run-check": 1}


def test_every_seam_is_where_the_map_says() -> None:
    assert missing_seams() == ()


def test_a_seam_that_moved_is_reported(tmp_path: Path) -> None:
    folder = deepchecks_folder()
    assert folder is not None
    copy = tmp_path / "deepchecks"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
    moved = copy / "core" / "suite.py"
    moved.write_text(moved.read_text(encoding="utf-8").replace("def to_wandb(", "def to_weights("), encoding="utf-8")
    (copy / "vision" / "suite.py").unlink()
    assert [str(seam) for seam in missing_seams(copy)] == [
        "deepchecks.vision.suite:Suite.run",
        "deepchecks.core.suite:SuiteResult.to_wandb",
    ]


def test_the_map_was_made_for_a_version_that_is_named() -> None:
    assert importlib.metadata.version("deepchecks") == "0.19.1"


def test_an_old_identifier_is_found_and_removed() -> None:
    folder = deepchecks_folder()
    assert folder is not None
    path = folder / ".user_id"
    if path.exists():
        pytest.skip("this environment has one of its own")
    path.write_text("0c1f", encoding="utf-8")
    try:
        assert old_user_id() == path
        assert remove_user_id() == path
        assert not path.exists()
        assert remove_user_id() is None
    finally:
        path.unlink(missing_ok=True)
