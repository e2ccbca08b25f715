"""The released deepchecks in workers, notebooks and IPython, its NLP part, and the line for maintainers."""

import importlib.util
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import MACHINE

from deepchecks_telemetry.hooks.builtin_telemetry import old_user_id, remove_user_id
from deepchecks_telemetry.hooks.compatibility import deepchecks_folder, missing_targets

Run = Callable[..., subprocess.CompletedProcess[str]]
Counts = dict[str, int]
Query = Callable[[str], list[Any]]
LastJson = Callable[[subprocess.CompletedProcess[str]], Any]

SCRIPTS = Path(__file__).with_name("scripts")
AT_IMPORT = str(SCRIPTS / "at_import.py")
MAINTAINERS = Path(__file__).parents[2] / "docs" / "for-maintainers.md"


def has(*modules: str) -> bool:
    return all(map(importlib.util.find_spec, modules))


pytestmark = [pytest.mark.real, pytest.mark.skipif(not has("deepchecks"), reason="deepchecks is not installed")]


@pytest.mark.parametrize("how", ["fork", "forkserver", "loky", "os.fork"])
@pytest.mark.skipif(os.name != "posix", reason="only POSIX has fork")
def test_workers_count_their_runs_and_no_second_import(
    run: Run, recorded: Callable[[], Counts], last_json: LastJson, attached: str, how: str
) -> None:
    done = last_json(run("-W", "ignore", str(SCRIPTS / "workers.py"), how, python=attached))
    assert recorded() == done


@pytest.mark.skipif(not has("textblob", "transformers", "seqeval"), reason="deepchecks' NLP part is not installed")
@pytest.mark.parametrize("how", ["before", "after", "file"])
def test_everything_in_nlp_is_counted_once(
    run: Run, recorded: Callable[[], Counts], last_json: LastJson, interpreter: Callable[[str], str], how: str
) -> None:
    done = last_json(run("-W", "ignore", str(SCRIPTS / "nlp.py"), how, python=interpreter(how)))
    assert recorded() == done


@pytest.mark.skipif(not has("nbclient", "ipykernel"), reason="nbclient is not installed")
def test_the_events_of_a_notebook_are_counted(run: Run, recorded: Callable[[], Counts], query: Query) -> None:
    run("-W", "ignore", str(SCRIPTS / "notebook.py"))
    exports = {"check-to-html": 1, "suite-to-html": 1}
    assert recorded() == {"package-import": 1, "run-check": 3, "run-suite": 1, **exports}
    assert query("SELECT runtime FROM environments") == [("jupyter",)]


TYPED = """\
from deepchecks_telemetry.hooks import attach; attach()
%load_ext autoreload
%autoreload 2
import pandas
from deepchecks.tabular.checks import IsSingleValue
check, frame = IsSingleValue(), pandas.DataFrame({'a': [1, 2]})
check.run(frame)
%timeit -n1 -r2 check.run(frame)
_7.save_as_html('check.html', as_widget=False)
print(check.run.__self__ is check)
"""


def test_events_in_ipython_are_counted(recorded: Callable[[], Counts], run: Run) -> None:
    simple = ("-m", "IPython", "--no-banner", "--no-confirm-exit", "--simple-prompt", "--colors=nocolor")
    done = run("-W", "ignore", *simple, stdin=TYPED)
    assert "In [10]: True" in done.stdout
    assert recorded() == {"package-import": 1, "run-check": 3, "check-to-html": 1}


def test_the_line_for_maintainers_is_sufficient(
    run: Run, recorded: Callable[[], Counts], last_json: LastJson, query: Query, released: Path
) -> None:
    """The line of the document is inserted at the described position in a copy of the released package."""
    line, before = re.findall(r"^```python\n(.*)\n(.*)\n```$", MAINTAINERS.read_text(encoding="utf-8"), re.MULTILINE)[0]
    root = released / "__init__.py"
    source = root.read_text(encoding="utf-8")
    assert source.count(f"\n{before}\n") == 1
    root.write_text(source.replace(f"\n{before}\n", f"\n{line}\n{before}\n"), encoding="utf-8")
    result = last_json(run("-W", "ignore", AT_IMPORT, PYTHONPATH=f"{released.parent}{os.pathsep}{MACHINE}"))
    assert (result["opened"], result["file"], recorded()) == ([], str(root), {"package-import": 1})
    # The endpoint is stored, so that `status` can show it; nothing is sent, because its notice was not shown.
    assert query("SELECT endpoint, next_upload FROM spool") == [(line.split('"')[1] + "/v1/logs", None)]
    check = (
        "from deepchecks.tabular.checks import IsSingleValue as c; import pandas as p; c().run(p.DataFrame({'a': [1]}))"
    )
    run("-W", "ignore", "-c", check, PYTHONPATH=f"{released.parent}{os.pathsep}{MACHINE}")
    assert recorded() == {"package-import": 2, "run-check": 1}
    assert query("SELECT count(*) FROM batches") == [(0,)]


def test_a_target_that_moved_is_reported(released: Path) -> None:
    moved = released / "core" / "suite.py"
    moved.write_text(moved.read_text(encoding="utf-8").replace("def to_wandb(", "def to_weights("), encoding="utf-8")
    (released / "vision" / "suite.py").unlink()
    assert [str(target) for target in missing_targets(released)] == [
        "deepchecks.vision.suite:Suite.run",
        "deepchecks.core.suite:SuiteResult.to_wandb",
    ]


def test_an_old_identifier_is_found_and_removed(released: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(released.parent)
    assert deepchecks_folder() == released
    assert old_user_id() is None
    path = released / ".user_id"
    path.write_text("0c1f", encoding="utf-8")
    assert old_user_id() == path
    assert remove_user_id() == path
    assert not path.exists()
    assert remove_user_id() is None
