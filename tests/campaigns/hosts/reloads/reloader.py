"""A host whose modules are removed and imported again, as the reloaders of Spyder and PyCharm do.

    python -m ... purge|patch|copies|library|record TIMES

`purge` removes our modules and those of deepchecks, `patch` puts them back afterwards (`mock.patch.dict`), `copies`
imports another copy of our package each time, `library` removes deepchecks alone. `record` removes ours alone, and
attaches nothing.
"""

import importlib
import os
import shutil
import sys
from pathlib import Path
from unittest import mock

from tests.campaigns.hosts.program import Journal, descriptors, fork, run_host, wait

OURS, LIBRARY = "deepchecks_telemetry", "deepchecks"
FOLDER = Path(os.environ["HOST_FOLDER"])


def main(journal: Journal, how: str, times: str) -> None:
    """Use deepchecks again and again, and count the descriptors after the first and the last time."""
    sys.path.insert(0, str(Path(__file__).parent / "library"))
    use(journal, how)
    before = descriptors()
    for number in range(int(times)):
        if how == "patch":
            with mock.patch.dict(sys.modules):
                again(journal, number, how)
        else:
            again(journal, number, how)
    journal.count("leaked_descriptors", descriptors() - before)
    wait(journal, fork(journal, lambda: journal.record(5)))  # each copy of us that is still there takes part in it
    journal.record()
    journal.count("reloads", int(times))


def again(journal: Journal, number: int, how: str) -> None:
    """Remove modules, and use deepchecks again."""
    remove(LIBRARY)
    if how != "library":
        remove(OURS)
    if how == "copies":
        sys.path[:] = [copy(number % 5), *(path for path in sys.path if not path.startswith(str(FOLDER / "copy")))]
    use(journal, how)


def remove(name: str) -> None:
    """Forget a package, as a reloader does."""
    for module in [each for each in sys.modules if each.partition(".")[0] == name]:
        del sys.modules[module]


def copy(number: int) -> str:
    """Copy our package to another folder."""
    folder = FOLDER / f"copy{number}"
    if not folder.exists():
        for room in reversed(list(importlib.import_module(OURS).__path__)):  # the first one wins, as in an import
            shutil.copytree(room, folder / OURS, dirs_exist_ok=True)
        remove(OURS)
    return str(folder)


def use(journal: Journal, how: str) -> None:
    """Attach, import deepchecks, run a check, and record."""
    if how != "record":
        from deepchecks_telemetry.hooks import attach

        attach()
        from deepchecks.tabular.base_checks import SingleDatasetCheck

        journal.attempted += [None] * 2  # the import, and the check
        assert SingleDatasetCheck().run("data") == "data"
    journal.record()


if __name__ == "__main__":
    run_host(main)
