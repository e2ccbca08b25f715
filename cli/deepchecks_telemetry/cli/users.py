"""Acting as other users: root starts a process for each, which becomes that user before it looks at any file."""

import json
import os
import pwd
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from deepchecks_telemetry.cli.errors import Failure, tell
from deepchecks_telemetry.spool.files.paths import Home, find_home

assert sys.platform != "win32"  # noqa: S101 - mypy reads it; the command says so before it comes here

FIRST_USER = 500 if sys.platform == "darwin" else 1000  # login.defs(5): below are services
VISIT_S = 120.0  # more than waiting for an upload, a lock and a reader takes
MOST_BYTES = 2**24  # of what a visit reports

Act = Callable[[Home], dict[str, Any]]


class User(NamedTuple):
    """Whom to become, and the home folder to look at."""

    name: str
    number: int
    group: int
    home: str


def find_users(homes: Sequence[str]) -> list[User]:
    """The owners of these home folders; without any, the users of the user database whose home folder is there."""
    if homes:
        return [_owner(os.path.abspath(home)) for home in homes]
    known = (User(each.pw_name, each.pw_uid, each.pw_gid, each.pw_dir) for each in pwd.getpwall())
    return [user for user in known if (user.number == 0 or user.number >= FIRST_USER) and os.path.isdir(user.home)]


def _owner(home: str) -> User:
    found = os.stat(home)
    if found.st_uid == 0 and os.path.realpath(home) != os.path.realpath(pwd.getpwuid(0).pw_dir):
        raise Failure(f"{home} belongs to root but is not root's home directory. Name the home directory of a user.")
    try:
        entry = pwd.getpwuid(found.st_uid)
    except KeyError:
        return User(str(found.st_uid), found.st_uid, found.st_gid, home)
    return User(entry.pw_name, found.st_uid, entry.pw_gid, home)


def visit(user: User, act: Act, *, timeout_s: float = VISIT_S) -> dict[str, Any]:
    """Let a process that is `user` do `act` in the folders below their home: its `facts`, or the `error`."""
    _load()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _report(writing, user, act)
    os.close(writing)
    try:
        text = b"".join(_read(reading, time.monotonic() + timeout_s))
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)  # it has reported, or it hangs, in a file system of that user's perhaps
        os.waitpid(child, 0)
    try:
        found = json.loads(text)
        return {"facts": found["facts"], "error": found["error"]}
    except (ValueError, LookupError, TypeError):
        return {"facts": None, "error": f"the process of this user did not report within {timeout_s:.0f} s"}


def _load() -> None:
    """Import now what the visit imports: our own files may be closed to that user."""
    import tempfile

    import filelock

    import deepchecks_telemetry.spool.wipe
    import deepchecks_telemetry.uploader.errors

    del filelock, deepchecks_telemetry
    tempfile.tempdir = None  # each user's own: no variable of root's names it


def _read(reading: int, deadline: float) -> Iterator[bytes]:
    size = 0
    while size < MOST_BYTES and select.select([reading], [], [], max(0.0, deadline - time.monotonic()))[0]:
        part = os.read(reading, 65536)
        if not part:
            return
        size += len(part)
        yield part


def _report(writing: int, user: User, act: Act) -> None:
    """In the child; it never returns."""
    try:
        found = _act_as(user, act)
        with open(writing, "w", encoding="utf-8") as file:
            json.dump(found, file)
    finally:
        os._exit(0)


def _act_as(user: User, act: Act) -> dict[str, Any]:
    facts = None
    try:
        _become(user)
        facts = act(find_home({"HOME": user.home}))
        _check(facts)
    except Exception as error:  # noqa: BLE001 - whatever it is, the report names it
        failure = error if isinstance(error, Failure) else tell(error)
        return {"facts": facts, "error": failure.format_message() if failure else repr(error)}
    return {"facts": facts, "error": None}


def _check(facts: dict[str, Any]) -> None:
    from deepchecks_telemetry.cli.disable import check_gone

    check_gone(facts)


def _become(user: User) -> None:
    """For good, with nothing of root's environment: no file is made or opened before."""
    os.environ.clear()
    os.umask(0o077)
    if user.number != 0:
        os.setgroups([user.group])
        os.setgid(user.group)
        os.setuid(user.number)
    os.chdir("/")
