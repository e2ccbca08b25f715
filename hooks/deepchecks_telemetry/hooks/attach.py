"""Attaches to deepchecks once, before or after its import, in any thread; its own errors never reach the host.

There is no lock, because one that is held during an import can deadlock, and one that is held during a fork stays
locked in the child. Instead, two threads may do each step at the same time: a finder is installed once, and a method
that is wrapped twice counts each call once.
"""

import sys
from types import ModuleType
from typing import Any

from deepchecks_telemetry.hooks.errors import SuppressOwnErrors
from deepchecks_telemetry.hooks.import_hook import NotifyingFinder
from deepchecks_telemetry.hooks.targets import MODULES, TARGETS, Target
from deepchecks_telemetry.hooks.worker import is_forked_worker, is_worker
from deepchecks_telemetry.hooks.wrappers import INSIDE, Inside, count_export, count_run, emit, is_wrapped


class ProcessState:
    """State shared by all copies of this package in a process, so that each call and the import are counted once.

    A copy of another version may read it, so the names must keep their meaning.
    """

    def __init__(self, inside: Inside) -> None:
        self.inside = inside
        # One token per process, taken by `list.pop`, which is atomic; a forked child inherits the empty list.
        self.first_import = ["package-import"]
        self.endpoints: list[str] = []  # at most one: the endpoint that `attach` was last called with


def attach(endpoint: str | None = None) -> None:
    """Record the events of deepchecks in this process from now on; `endpoint` is used if no other source sets one."""
    with SuppressOwnErrors():
        _attach(endpoint)


def _attach(endpoint: str | None) -> None:
    FINDER.install()
    if endpoint:
        _state().endpoints[:] = [endpoint]
    for name in MODULES:
        if sys.modules.get(name) is not None:
            from importlib import import_module

            # Waits if another thread is still importing the module and began before the finder was installed.
            on_import(import_module(name))
    if endpoint and not _state().first_import:
        _upload()


def on_import(module: ModuleType) -> None:
    """Apply every target of a module that was just executed or imported earlier."""
    with SuppressOwnErrors():  # an error would be raised by the host's import statement
        for target in TARGETS:
            if target.module == module.__name__:
                _apply(module, target)


def _apply(module: ModuleType, target: Target) -> None:
    if target.kind == "import":
        _count_import()
    elif target.kind == "builtin":
        _disable_builtin_telemetry(module, target)
    else:
        _wrap(module, target)


def _disable_builtin_telemetry(module: ModuleType, target: Target) -> None:
    """Set the library's own flag in its module, in this process only, so that its request at import is not made.

    Users then do not see the message "a newer version is available". Not its environment variables: the user's program
    and its children would see them, and they also turn this package off.
    """
    if hasattr(module, target.name):
        setattr(module, target.name, True)


def _wrap(module: ModuleType, target: Target) -> None:
    """Wrap the target's method in its class; if it does not exist, `missing_targets` reports it."""
    class_name, _, method_name = target.name.partition(".")
    owner: Any = getattr(module, class_name, None)
    method = vars(owner).get(method_name) if isinstance(owner, type) else None
    if callable(method) and not is_wrapped(method):
        count = count_run if target.kind == "run" else count_export
        setattr(owner, method_name, count(method, target.event, _state().inside))


def _count_import() -> None:
    """Count the import once per process, and not in worker processes (the catalogue defines them)."""
    if is_worker():
        return
    try:
        event = _state().first_import.pop()
    except IndexError:
        return
    if not is_forked_worker():
        emit(event)
    _upload()  # in a forked worker too, because in some programs only workers import deepchecks


def _upload() -> None:
    from deepchecks_telemetry.uploader import upload_if_due

    upload_if_due(*_state().endpoints[:1])


FINDER = NotifyingFinder(frozenset(MODULES), on_import, ProcessState(INSIDE))


def _state() -> ProcessState:
    state: ProcessState = FINDER.state
    return state
