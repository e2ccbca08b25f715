"""Acting as other users: root starts a process for each, which becomes that user before it opens any file."""

import json
import os
import pwd
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, NamedTuple

import filelock  # noqa: F401 - used after the change of user, who may have no permission to read Python's files

from deepchecks_telemetry.cli.choice.wiping import check_wiped
from deepchecks_telemetry.cli.errors import CliError, to_cli_error
from deepchecks_telemetry.spool.files.paths import Home, find_home

assert sys.platform != "win32"  # noqa: S101 - for mypy; the command fails on Windows before it imports this module

FIRST_USER = 500 if sys.platform == "darwin" else 1000  # login.defs(5): the accounts below are services
TIMEOUT_S = 120.0  # longer than waiting for an upload, a lock and a reader takes
MAX_RESULT_BYTES = 2**24

Act = Callable[[Home], dict[str, Any]]


class User(NamedTuple):
    """A user to become, and the home directory to act in."""

    name: str
    number: int
    group: int
    home: str


def find_users(homes: Sequence[str]) -> list[User]:
    """The owners of these home directories; without any, the users of the user database whose home exists."""
    if homes:
        return [_owner(os.path.abspath(home)) for home in homes]
    users = (User(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir) for entry in pwd.getpwall())
    return [user for user in users if (user.number == 0 or user.number >= FIRST_USER) and os.path.isdir(user.home)]


def _owner(home: str) -> User:
    stat = os.stat(home)
    if stat.st_uid == 0 and os.path.realpath(home) != os.path.realpath(pwd.getpwuid(0).pw_dir):
        raise CliError(f"{home} belongs to root but is not root's home directory. Name the home directory of a user.")
    try:
        entry = pwd.getpwuid(stat.st_uid)
    except KeyError:
        return User(str(stat.st_uid), stat.st_uid, stat.st_gid, home)
    return User(entry.pw_name, stat.st_uid, entry.pw_gid, home)


def run_as(user: User, act: Act, *, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """Run `act` on the default directories of a user, in a process of that user: its `facts`, or the `error`."""
    tempfile.tempdir = None  # otherwise the child would use root's, as cached from a variable of root
    _load_lazy_imports()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _send_result(writing, user, act)
    os.close(writing)
    try:
        text = b"".join(_read(reading, time.monotonic() + timeout_s))
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)  # it has reported, or it hangs, for example in a file system of that user
        os.waitpid(child, 0)
    try:
        result = json.loads(text)
        return {"facts": result["facts"], "error": result["error"]}
    except (ValueError, LookupError, TypeError):
        return {"facts": None, "error": f"the process of this user did not report within {timeout_s:.0f} s"}


def _load_lazy_imports() -> None:
    """Load what libraries import lazily on Python 3.15 (PEP 810): a user may have no permission to read those files."""
    seen: set[str] = set()
    while pending := set(getattr(sys, "lazy_modules", ())) - seen:
        seen |= pending
        for name in pending:
            with suppress(ImportError):  # the name of a function or class, in a module whose name is here too
                import_module(name)


def _read(reading: int, deadline: float) -> Iterator[bytes]:
    size = 0
    while size < MAX_RESULT_BYTES and select.select([reading], [], [], max(0.0, deadline - time.monotonic()))[0]:
        part = os.read(reading, 65536)
        if not part:
            return
        size += len(part)
        yield part


def _send_result(writing: int, user: User, act: Act) -> None:
    """In the child: act, and write the result to the pipe; does not return."""
    try:
        result = _act_as(user, act)
        with open(writing, "w", encoding="utf-8") as file:
            json.dump(result, file)
    finally:
        os._exit(0)


def _act_as(user: User, act: Act) -> dict[str, Any]:
    report = None
    try:
        _become(user)
        report = act(find_home({"HOME": user.home}))
        check_wiped(report)
    except Exception as error:  # noqa: BLE001 - the result contains every error
        cli_error = error if isinstance(error, CliError) else to_cli_error(error)
        return {"facts": report, "error": cli_error.format_message() if cli_error else repr(error)}
    return {"facts": report, "error": None}


def _become(user: User) -> None:
    """Become the user for good, without root's environment; no file is created or opened before."""
    os.environ.clear()
    os.umask(0o077)
    if user.number != 0:
        os.setgroups([user.group])
        os.setgid(user.group)
        os.setuid(user.number)
    os.chdir("/")
