"""A process has one guard, one open session and one set of fork hooks, however often this package is imported.

Reloaders (Spyder, PyCharm, tests that restore `sys.modules`) import a second copy of this package, and the first copy
keeps its objects. So they are stored in an attribute of `sys`, which is never reloaded, and a copy that opens a session
closes the one of the previous copy.
"""

import _thread
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from deepchecks_telemetry.spool.recording import connections
from deepchecks_telemetry.spool.recording.guard import Guard

if TYPE_CHECKING:
    from _thread import RLock

ATTRIBUTE = "_deepchecks_telemetry_1"  # the number changes when the type of the stored object changes


class Owner(Protocol):
    """A writer whose session is open."""

    def close(self) -> bool:
        """Close the session; False if it must stay open for ever."""


class Process:
    """The state of one process; a forked child has a copy."""

    def __init__(self) -> None:
        self.guard = Guard(self.close)
        self.owner: Owner | None = None
        # Whether this interpreter must not open the spool: SQLite cannot use it in this process any more (see
        # `descriptors.close`), or this is a subinterpreter.
        self.is_spool_lost = not is_main_interpreter()
        self._pid = os.getpid()
        self._taken: RLock | None = None

    def set_owner(self, owner: Owner) -> None:
        """Make `owner` the writer with the only open session; the caller holds the guard."""
        self.close()
        self.owner = owner

    def close(self) -> None:
        """Close the open session; the caller holds the guard."""
        if self.owner is not None and not self.is_spool_lost:
            if not self.owner.close():
                self.is_spool_lost = True
            self.owner = None  # only now, because an exception may interrupt closing, and the next call continues it

    def before_fork(self) -> None:
        """Keep other threads out of SQLite during the fork: a mutex that they hold would stay locked in the child."""
        self.guard.forking = True
        self._taken = self.guard.take()

    def after_fork_in_parent(self) -> None:
        """Release the guard; the connection still belongs to this process."""
        taken, self._taken = self._taken, None
        self.guard.forking = False
        if taken is not None:
            taken.release()

    def after_fork_in_child(self) -> None:
        """Use a new guard; the first record closes the parent's connection without touching its files."""
        taken, self._taken = self._taken, None
        nested = taken is None and self.guard.lock._is_owned()  # type: ignore[attr-defined]  # noqa: SLF001
        self.guard.reset()
        if nested:  # a signal handler forked inside `record`, which continues in the child as well
            self.close()
        elif taken is None:  # another thread was inside SQLite, so a call that needs its mutex would block for ever
            self.is_spool_lost = True
            connections.keep(self.owner)


def is_main_interpreter() -> bool:
    """Whether this is not a subinterpreter (mod_wsgi's, `InterpreterPoolExecutor`'s).

    Only the main interpreter records. SQLite keeps one state for all connections of a process to a file, and
    interpreters share no lock of ours: one that replaces its descriptors takes those of the others away, and their
    next connection reads an empty file. A healthy spool was quarantined in 3 of 7 runs of 60 interpreters.
    """
    if hasattr(_thread, "_is_main_interpreter"):  # from Python 3.12 on
        return bool(_thread._is_main_interpreter())  # noqa: SLF001
    try:
        interpreters: Any = import_module("_xxsubinterpreters")
    except ImportError:
        return True  # PyPy has none
    return bool(interpreters.get_current() == interpreters.get_main())


def this_process() -> Process:
    """The `Process` of this process, created at the first call."""
    process: Process | None = getattr(sys, ATTRIBUTE, None)
    if process is None:
        process = Process()
        setattr(sys, ATTRIBUTE, process)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=process.before_fork,
                after_in_parent=process.after_fork_in_parent,
                after_in_child=process.after_fork_in_child,
            )
    return process
