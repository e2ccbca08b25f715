"""What a process has once, however often this package is imported: the guard, the open session, the fork hooks.

Reloaders (Spyder, PyCharm, tests that restore `sys.modules`) import a second copy of this package, and the first one
keeps its objects. So they are kept in an attribute of `sys`, which nothing reloads, and a copy that opens a session
closes the one of the copy before it.
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

ATTRIBUTE = "_deepchecks_telemetry_1"  # another number where what is kept there changes


class Owner(Protocol):
    """A writer whose session is open."""

    def close(self) -> bool:
        """Close the session; False where it must stay open for ever."""


class Process:
    """The state of one process; a forked child has a copy."""

    def __init__(self) -> None:
        self.guard = Guard(self.close)
        self.owner: Owner | None = None
        # Whether this interpreter must not open the spool: SQLite cannot use it in this process any more (see
        # `descriptors.close`), or this is a subinterpreter.
        self.lost = not is_main_interpreter()
        self._pid = os.getpid()
        self._taken: RLock | None = None

    def own(self, owner: Owner) -> None:
        """Let `owner` have the only open session; the caller holds the guard."""
        self.close()
        self.owner = owner

    def close(self) -> None:
        """Close the open session; the caller holds the guard."""
        if self.owner is not None and not self.lost:
            if not self.owner.close():
                self.lost = True
            self.owner = None  # not before: an exception may interrupt closing, and the next call goes on with it

    def before_fork(self) -> None:
        """Let no other thread be inside SQLite at the fork: a mutex that it holds would stay locked in the child."""
        self.guard.forking = True
        self._taken = self.guard.take()

    def after_fork_in_parent(self) -> None:
        """Go on as before: the connection is still this process's."""
        taken, self._taken = self._taken, None
        self.guard.forking = False
        if taken is not None:
            taken.release()

    def after_fork_in_child(self) -> None:
        """Begin with a new guard; the first record closes the parent's connection without touching its files."""
        taken, self._taken = self._taken, None
        nested = taken is None and self.guard.lock._is_owned()  # type: ignore[attr-defined]  # noqa: SLF001
        self.guard.reset()
        if nested:  # a signal handler forked inside `record`, which goes on in the child as well
            self.close()
        elif taken is None:  # another thread was inside SQLite: whatever touches its mutex now would wait for ever
            self.lost = True
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
    """The one of this process."""
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
