"""Attaches to deepchecks once, before or after its import, in any thread: an error here never reaches the host.

There is no lock: one held across an import can deadlock, one held at a fork stays locked in the child. Each step may
be done twice by two threads at once without harm: a finder is installed once, a method wrapped twice counts once.
"""

import sys
from types import ModuleType
from typing import Any, NamedTuple

from deepchecks_telemetry.hooks.builtin_telemetry import disable_builtin_telemetry
from deepchecks_telemetry.hooks.errors import SuppressOwnErrors
from deepchecks_telemetry.hooks.import_hook import NotifyingFinder
from deepchecks_telemetry.hooks.targets import MODULES, Target, targets_of
from deepchecks_telemetry.hooks.worker import is_forked_worker, is_worker
from deepchecks_telemetry.hooks.wrappers import INSIDE, Inside, count_export, count_run, emit, is_wrapped


class ProcessState(NamedTuple):
    """What all copies of this package in a process share, so that each call and the import are counted once.

    A copy of another version may read it: a name here keeps its meaning.
    """

    inside: Inside
    # One token per process, taken by `list.pop`, which is atomic; a forked child inherits the empty list.
    first_import: list[str]
    endpoints: list[str]  # the one that `attach` was last called with, or none


def attach(endpoint: str | None = None) -> None:
    """Record what deepchecks does from now on in this process; the endpoint is used if no other source sets one."""
    with SuppressOwnErrors():
        _attach(endpoint)


def _attach(endpoint: str | None) -> None:
    FINDER.install()
    if endpoint:
        _state().endpoints[:] = [endpoint]
    for name in MODULES:
        if sys.modules.get(name) is not None:
            on_import(_wait_for(name))
    if endpoint and not _state().first_import:
        _upload()


def _wait_for(name: str) -> ModuleType:
    from importlib import import_module

    # Another thread may be in the middle of its import, begun before our finder was installed: this waits for its end.
    return import_module(name)


def on_import(module: ModuleType) -> None:
    """Apply every target of a module that has just been executed, or was imported before."""
    with SuppressOwnErrors():  # an error here would be raised by the host's import statement
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
    """Wrap a method in the class that the target names; if it is not there, `missing_targets` reports it."""
    class_name, _, method_name = target.name.partition(".")
    owner: Any = getattr(module, class_name, None)
    method = vars(owner).get(method_name) if isinstance(owner, type) else None
    if callable(method) and not is_wrapped(method):
        count = count_run if target.kind == "run" else count_export
        setattr(owner, method_name, count(method, target.event, _state().inside))


def _count_import() -> None:
    """Count the import once per process, and not in worker processes; the catalogue says what a worker is."""
    if is_worker():
        return
    try:
        event = _state().first_import.pop()
    except IndexError:
        return
    if not is_forked_worker():
        emit(event)
    _upload()  # in a forked worker too: where only workers import deepchecks, there is no other process to do it


def _upload() -> None:
    from deepchecks_telemetry.uploader import upload_if_due

    upload_if_due(*_state().endpoints[:1])


FINDER = NotifyingFinder(frozenset(MODULES), on_import, ProcessState(INSIDE, ["package-import"], []))


def _state() -> ProcessState:
    state: ProcessState = FINDER.state
    return state
