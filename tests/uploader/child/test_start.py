"""How the uploader is started: detached, also without a shell, and gone soon where its receiver is mute."""

import os
import queue
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from tests.uploader.programs import HOST, PATIENCE_S, host, set_due

from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import ON
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.uploader.child.command import CODE
from deepchecks_telemetry.uploader.endpoint import configure
from deepchecks_telemetry.uploader.wire.outcome import Answer

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from tests.uploader.conftest import Behave, Hostile, Receiver

    from deepchecks_telemetry.spool.files.paths import Home

NO_SHELL = "import os; access = os.access; os.access = lambda path, mode: path != '/bin/sh' and access(path, mode)\n"
UPLOADER = """
import requests, deepchecks_telemetry.uploader.__main__ as uploader
uploader.ANSWER_S = 1.0
uploader.main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.usefixtures("startable")
def test_without_a_shell_an_interpreter_starts_the_uploader_in_its_place(spool: "Home", receiver: "Receiver") -> None:
    seen: queue.Queue[tuple[int, int]] = queue.Queue()

    def look(_: object) -> Answer:
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    if CODE.encode() in file.read():
                        seen.put((os.getpriority(os.PRIO_PROCESS, int(name)), os.getsid(int(name))))
            except OSError:
                continue
        return Answer(200, {}, b"{}")

    receiver.answer = look
    choose(spool, ON)
    configure(spool, receiver.endpoint.url)
    set_due(spool, 0)
    one = host(NO_SHELL + HOST, "")
    assert one.communicate(timeout=PATIENCE_S) == ("", "")
    priority, session = seen.get(timeout=PATIENCE_S)
    assert priority == 19
    assert session not in {os.getsid(0), one.pid}


def mute(connection: "socket.socket", released: threading.Event) -> None:
    connection.recv(65_536)
    released.wait()


def test_the_uploader_ends_soon_where_its_receiver_is_mute(
    spool: "Home", hostile: "Callable[[Behave], Hostile]"
) -> None:
    server = hostile(mute)
    choose(spool, ON)
    configure(spool, server.endpoint.url)
    uploader = subprocess.Popen([sys.executable, "-c", UPLOADER])
    server.accepted.get(timeout=PATIENCE_S)
    began = time.monotonic()
    assert uploader.wait(timeout=PATIENCE_S) == 0
    assert time.monotonic() - began < 9  # a read timeout would be 10 s
    assert (read_accounts(spool).sealed, read_accounts(spool).failures) == (3, 1)
