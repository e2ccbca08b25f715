"""The uploader is started detached, also without a shell, and ends soon if its receiver does not respond."""

import os
import queue
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from tests.spool.stored import stored
from tests.uploader.programs import HOST, PATIENCE_S, set_due

from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import ON
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.uploader.child.command import CODE
from deepchecks_telemetry.uploader.endpoint import configure
from deepchecks_telemetry.uploader.wire.outcome import Response

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from tests.uploader.conftest import Behave, Hostile, Receiver

    from deepchecks_telemetry.spool.files.paths import Home

HIDE_SHELL = 'mount --bind /dev/null "$(readlink -f /bin/sh)" && exec "$@"'
UPLOADER = """
import requests, deepchecks_telemetry.uploader.__main__ as uploader
uploader.RESPONSE_S = 1.0
uploader.main()
"""


@pytest.fixture
def without_shell(tool: "Callable[[str], str]") -> list[str]:
    """A command that runs its operands in a mount namespace in which /bin/sh cannot be executed."""
    command = [tool("unshare"), "--user", "--map-root-user", "--mount", "sh", "-c", HIDE_SHELL, "sh"]
    if subprocess.run([*command, sys.executable, "-c", ""], capture_output=True, timeout=PATIENCE_S).returncode:
        pytest.skip("mount namespaces cannot be created on this machine")
    return command


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has mount namespaces")
@pytest.mark.usefixtures("startable")
def test_without_a_shell_the_interpreter_starts_the_uploader(
    spool: "Home", receiver: "Receiver", without_shell: list[str]
) -> None:
    uploaders: queue.Queue[tuple[int, int]] = queue.Queue()

    def find_uploader(_: object) -> Response:
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    if CODE.encode() in file.read():
                        uploaders.put((os.getpriority(os.PRIO_PROCESS, int(name)), os.getsid(int(name))))
            except OSError:
                continue
        return Response(200, {}, b"{}")

    receiver.answer = find_uploader
    choose(spool, ON)
    configure(spool, receiver.endpoint.url)
    set_due(spool, 0)
    done = subprocess.run([*without_shell, sys.executable, "-c", HOST, ""], capture_output=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    priority, session = uploaders.get(timeout=PATIENCE_S)
    assert priority == 19
    assert session != os.getsid(0)


def never_respond(connection: "socket.socket", released: threading.Event) -> None:
    connection.recv(65_536)
    released.wait()


def test_the_uploader_ends_soon_if_the_receiver_does_not_respond(
    spool: "Home", hostile: "Callable[[Behave], Hostile]"
) -> None:
    server = hostile(never_respond)
    choose(spool, ON)
    configure(spool, server.endpoint.url)
    uploader = subprocess.Popen([sys.executable, "-c", UPLOADER])
    server.accepted.get(timeout=PATIENCE_S)
    began = time.monotonic()
    assert uploader.wait(timeout=PATIENCE_S) == 0
    assert time.monotonic() - began < 9  # a read timeout would be 10 s
    assert (read_accounts(spool).sealed, stored(spool).failures) == (3, 1)
