"""Removes modules and imports them again many times, as reloaders do; prints what remains of older copies."""

import contextlib
import gc
import importlib
import json
import sys
import weakref
from typing import Any
from unittest import mock

HOW, SECOND_COPY = sys.argv[1:]
ROUNDS = 20 if sys.platform == "win32" else 100  # under Wine a round takes a second or two


def purge(*packages: str) -> None:
    """Remove packages and their modules from sys.modules."""
    for name in list(sys.modules):
        if name.split(".")[0] in packages:
            del sys.modules[name]


def attach() -> Any:
    """Attach with the currently imported copy of our package, and return its finder."""
    module = importlib.import_module("deepchecks_telemetry.hooks")
    module.attach()
    return importlib.import_module("deepchecks_telemetry.hooks.attach").FINDER


def check() -> Any:
    """A check of the currently imported deepchecks."""
    return importlib.import_module("deepchecks.tabular.base_checks").SingleDatasetCheck()


def run_round(number: int) -> Any:
    """Attach and run a check, then remove the modules that `HOW` names."""
    finder = attach()
    check().run()
    if HOW == "ours":
        purge("deepchecks_telemetry")
    elif HOW == "deepchecks":
        purge("deepchecks")
    elif HOW == "both":
        purge("deepchecks_telemetry", "deepchecks")
    elif HOW == "a second copy":
        purge("deepchecks_telemetry", "deepchecks")
        sys.path[:] = [path for path in sys.path if path != SECOND_COPY]
        if number % 2 == 0:
            sys.path.insert(0, SECOND_COPY)
        importlib.invalidate_caches()
    return weakref.ref(finder)


finders = []
for number in range(ROUNDS):
    with mock.patch.dict(sys.modules) if HOW == "mock.patch.dict" else contextlib.nullcontext():
        finders.append(run_round(number))
attach()
old_check = check()
purge("deepchecks_telemetry", "deepchecks")
attach()
old_check.run(check())
gc.collect()
print(
    json.dumps(
        {
            "finders": sum(type(finder).__name__ == "NotifyingFinder" for finder in sys.meta_path),
            "alive": sum(finder() is not None for finder in finders),
            "runs": ROUNDS + 1,
        }
    )
)
