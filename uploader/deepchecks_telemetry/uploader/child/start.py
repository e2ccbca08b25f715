"""Starts the uploader detached: the host has no child to reap, no descriptor to close, and nothing to wait for."""

import os
import sys

from deepchecks_telemetry.spool.errors import raise_if_hosts
from deepchecks_telemetry.uploader.child.command import command, environment
from deepchecks_telemetry.uploader.child.interpreter import find_interpreter

SHELL = "/bin/sh"
# The shell forks and ends within 2 ms, so that the uploader becomes a child of init: no zombie, no ResourceWarning in
# the host. `nice` applies from the start, because the start of Python would compete with the end of the host.
BY_SHELL = 'command -v nice >/dev/null && set -- nice -n 19 "$@"; "$@" &'
# The same without a shell, in 15 to 25 ms. The host itself must not fork, because it may have threads.
BY_PYTHON = """import os, sys
if os.fork() == 0:
    os.nice(19)
    os.execv(sys.argv[1], sys.argv[1:])
os._exit(0)
"""
START_TIMEOUT_S = 5  # for either launcher, on a busy machine


def start(folder: str, endpoint: str | None) -> None:
    """Start the uploader in `folder`, a directory in which only this user can create files."""
    interpreter = find_interpreter()
    if interpreter is not None:
        _detach(command(interpreter, endpoint), folder)


if sys.platform == "win32":

    def _detach(uploader: list[str], folder: str) -> None:
        import subprocess  # 5 ms in a bare interpreter, and needed once a day

        # Its own console, without a window, so that closing the host's console ends only the host; its own process
        # group, so that Ctrl-C does not reach it.
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.IDLE_PRIORITY_CLASS
        try:
            # A job that ends its processes when it is closed (of a service, of a CI runner) would end the uploader too.
            _popen(uploader, folder, flags | subprocess.CREATE_BREAKAWAY_FROM_JOB)
        except PermissionError as error:
            raise_if_hosts(error)
            _popen(uploader, folder, flags)  # this job allows no breakaway

    def _popen(uploader: list[str], folder: str, flags: int) -> None:
        import subprocess

        null = subprocess.DEVNULL
        child = subprocess.Popen(
            uploader, cwd=folder, env=environment(), creationflags=flags, stdin=null, stdout=null, stderr=null
        )
        child.returncode = 0  # nobody waits for it; without this its destructor would warn in the host

else:

    def _detach(uploader: list[str], folder: str) -> None:
        import subprocess

        without_shell = [uploader[0], "-I", "-S", "-c", BY_PYTHON]
        launcher = [SHELL, "-c", BY_SHELL, "sh"] if os.access(SHELL, os.X_OK) else without_shell
        null = subprocess.DEVNULL
        subprocess.run(
            [*launcher, *uploader],
            cwd=folder,
            env=environment(),
            start_new_session=True,
            timeout=START_TIMEOUT_S,
            check=False,
            stdin=null,
            stdout=null,
            stderr=null,
        )
