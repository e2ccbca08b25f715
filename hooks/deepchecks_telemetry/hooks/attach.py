"""Attaches to deepchecks once, before or after its import, in any thread: a failure here is never the host's.

There is no lock: one held across an import can deadlock, one held at a fork stays locked in the child. Each step may
be done twice by two threads at once without harm: a finder skips itself, a method wrapped twice tells once.
"""

import sys
from contextlib import suppress
from types import ModuleType
from typing import Any

from deepchecks_telemetry.hooks.builtin_telemetry import disable_builtin_telemetry
from deepchecks_telemetry.hooks.import_hook import NotifyingFinder
from deepchecks_telemetry.hooks.targets import MODULES, TARGETS, Target, targets_of
from deepchecks_telemetry.hooks.worker import is_worker
from deepchecks_telemetry.hooks.wrappers import count_export, count_run, emit, is_wrapped

_endpoints: list[str] = []
# One token per process, taken by `list.pop`, which is atomic; a forked child inherits the empty list.
_first_import: list[str] = ["package-import"]


def attach(endpoint: str | None = None) -> None:
    """Record what deepchecks does from now on in this process; the endpoint is used if nobody else names one."""
    with suppress(Exception):  # the host goes on, with or without us
        _attach(endpoint)


def _attach(endpoint: str | None) -> None:
    if endpoint:
        _endpoints[:] = [endpoint]
    if FINDER not in sys.meta_path:
        sys.meta_path.insert(0, FINDER)
    for name in MODULES:
        if name in sys.modules:
            on_import(_wait_for(name))
    if endpoint and not _first_import:
        _upload()


def _wait_for(name: str) -> ModuleType:
    from importlib import import_module

    # It may be half-way through its import in another thread, found before our finder stood there: this waits for it.
    return import_module(name)


def on_import(module: ModuleType) -> None:
    """Treat every target of a module that has just been executed, or was already there."""
    with suppress(Exception):  # what is raised here would be raised by the host's import statement
        for target in targets_of(module.__name__):
            _apply(module, target)


def _apply(module: ModuleType, target: Target) -> None:
    if target.kind == "import":
        _count_import()
    elif target.kind == "builtin":
        disable_builtin_telemetry(module, target)
    else:
        _wrap(module, target)


def _wrap(module: ModuleType, target: Target) -> None:
    """Wrap a method where the target says it is defined; elsewhere it is `missing_targets` that speaks."""
    class_name, _, method_name = target.name.partition(".")
    owner: Any = getattr(module, class_name, None)
    method = vars(owner).get(method_name) if isinstance(owner, type) else None
    if callable(method) and not is_wrapped(method):
        count = count_run if target.kind == "run" else count_export
        setattr(owner, method_name, count(method, target.event))


def _count_import() -> None:
    """Tell the import, once per process, and not again in the workers that it starts."""
    if is_worker():
        return
    try:
        event = _first_import.pop()
    except IndexError:
        return
    emit(event)
    _upload()


def _upload() -> None:
    from deepchecks_telemetry.uploader import upload_if_due

    upload_if_due(_endpoints[0] if _endpoints else None)


FINDER = NotifyingFinder(frozenset(target.module for target in TARGETS), on_import)
