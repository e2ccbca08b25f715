"""Finds the Python interpreter that can run the uploader; a program that is frozen or embeds Python is never started.

`sys.executable` of a frozen program is the program itself, and that of a program that embeds Python often is. Started
with the uploader's arguments, such a program would do its own work a second time.
"""

import os
import sys

INTERPRETER_NAMES = frozenset({"python", "pythonw", "pypy"})


def find_interpreter() -> str | None:
    """The absolute path of the interpreter of this process; None if it is unknown."""
    if is_frozen():
        return None
    # The two differ in a virtual environment. If a program embeds Python in one, `sys.executable` is that program, and
    # `_base_executable` (since Python 3.11) the interpreter that created the environment.
    candidates = (sys.executable, getattr(sys, "_base_executable", None))
    return next((path for path in candidates if path and os.path.isabs(path) and is_interpreter(path)), None)


def why_no_interpreter() -> str | None:
    """Why no interpreter is known, as a clause; None if one is."""
    if is_frozen():
        return "this program is frozen (PyInstaller, cx_Freeze, Nuitka): its executable is not a Python interpreter"
    if find_interpreter() is None:
        name = os.path.basename(sys.executable or "") or "unknown"
        return f"this program embeds Python: its executable ({name}) is not a Python interpreter"
    return None


def is_frozen() -> bool:
    """Whether this program was frozen. Nuitka marks each module that it compiled, the other tools mark `sys`."""
    compiled = "__compiled__" in globals() or hasattr(sys.modules.get("__main__"), "__compiled__")
    return compiled or bool(getattr(sys, "frozen", False))


def is_interpreter(path: str) -> bool:
    """Whether an executable has exactly the name of an interpreter: `python`, `pypy3.10`, `pythonw.exe`."""
    name = os.path.basename(path).lower().removesuffix(".exe")
    if name[-1:] in ("t", "d") and name[-2:-1].isdigit():  # python3.13t, python3.13d: free-threaded, debug
        name = name[:-1]
    return name.rstrip("0123456789.") in INTERPRETER_NAMES
