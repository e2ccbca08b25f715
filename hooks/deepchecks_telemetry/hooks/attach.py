"""Attaches to deepchecks once, before or after its import, in any thread: a failure here is never the host's.

There is no lock: one held across an import can deadlock, one held at a fork stays locked in the child. Each step may
be done twice by two threads at once without harm: a finder skips itself, a method wrapped twice tells once.
"""

import sys
from contextlib import suppress
from types import ModuleType
from typing import Any

from deepchecks_telemetry.hooks.builtin_telemetry import silence
from deepchecks_telemetry.hooks.import_hook import Finder
from deepchecks_telemetry.hooks.targets import MODULES, SEAMS, Seam, seams_of
from deepchecks_telemetry.hooks.worker import is_worker
from deepchecks_telemetry.hooks.wrappers import counted_export, counted_run, is_counted, tell

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
            greet(_whole(name))
    if endpoint and not _first_import:
        _upload()


def _whole(name: str) -> ModuleType:
    from importlib import import_module

    # It may be half-way through its import in another thread, found before our finder stood there: this waits for it.
    return import_module(name)


def greet(module: ModuleType) -> None:
    """Treat every seam of a module that has just been executed, or was already there."""
    with suppress(Exception):  # what is raised here would be raised by the host's import statement
        for seam in seams_of(module.__name__):
            _treat(module, seam)


def _treat(module: ModuleType, seam: Seam) -> None:
    if seam.kind == "import":
        _announce()
    elif seam.kind == "voice":
        silence(module, seam)
    else:
        _wrap(module, seam)


def _wrap(module: ModuleType, seam: Seam) -> None:
    """Wrap a method where the seam says it is defined; elsewhere it is `missing_seams` that speaks."""
    class_name, _, method_name = seam.name.partition(".")
    owner: Any = getattr(module, class_name, None)
    method = vars(owner).get(method_name) if isinstance(owner, type) else None
    if callable(method) and not is_counted(method):
        count = counted_run if seam.kind == "run" else counted_export
        setattr(owner, method_name, count(method, seam.event))


def _announce() -> None:
    """Tell the import, once per process, and not again in the workers that it starts."""
    if is_worker():
        return
    try:
        event = _first_import.pop()
    except IndexError:
        return
    tell(event)
    _upload()


def _upload() -> None:
    from deepchecks_telemetry.uploader import upload_if_due

    upload_if_due(_endpoints[0] if _endpoints else None)


FINDER = Finder(frozenset(seam.module for seam in SEAMS), greet)
