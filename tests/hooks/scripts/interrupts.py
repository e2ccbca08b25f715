"""Interrupts calls of a wrapped method at random times with exceptions of the host; prints how many reached it."""

import ctypes
import functools
import json
import queue
import random
import signal
import sys
import threading
import time
from collections import Counter
from typing import Any

HOW, ROUNDS = sys.argv[1], int(sys.argv[2])


class HostError(Exception):
    """An exception of the host program."""


MAIN = threading.get_ident()
DELAYS: queue.SimpleQueue[float] = queue.SimpleQueue()
counts = Counter(raised=0, reached=0)
error: type[Exception] = TimeoutError if HOW == "TimeoutError" else HostError


def handler(number: int, frame: Any) -> None:
    """A handler like that of timeout decorators."""
    counts["raised"] += 1
    if HOW == "arguments deleted":
        del number, frame
    raise error("a timeout of the host")


class Handler:
    """A handler that is an object."""

    def __call__(self, *arguments: Any) -> None:
        del arguments
        handler(0, None)

    method = __call__


INSTALLED: dict[str, Any] = {
    "partial": functools.partial(handler),
    "object": Handler(),
    "method": Handler().method,
    "lambda": lambda *_: handler(0, None),
}


def send() -> None:
    """Send the exception to the main thread after each delay, as libraries for timeouts in threads do."""
    while after_s := DELAYS.get():
        time.sleep(after_s)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(MAIN), ctypes.py_object(error))
        counts["raised"] += 1


def arm(after_s: float) -> None:
    """Interrupt the main thread after this delay."""
    if HOW == "sent to the thread":
        DELAYS.put(after_s)
    else:
        signal.setitimer(signal.ITIMER_REAL, after_s)


threading.Thread(target=send, daemon=True).start()
from deepchecks_telemetry.hooks import attach  # noqa: E402

attach()
from deepchecks.tabular.base_checks import SingleDatasetCheck  # noqa: E402

check = SingleDatasetCheck()
check.run()
signal.signal(signal.SIGALRM, INSTALLED.get(HOW, handler))


def work() -> None:
    """Run checks until the exception arrives, and 50 more, because it may arrive a little after it was sent."""
    before, after = counts["raised"], 0
    arm(random.uniform(1e-6, 1e-3))
    while after < 50:
        check.run()
        after += counts["raised"] != before


for _ in range(ROUNDS):
    try:  # only a call: on 3.13 the jump to the start of a loop is outside of a `try` around the loop
        work()
    except error:
        counts["reached"] += 1
from deepchecks_telemetry.hooks.wrappers import INSIDE  # noqa: E402

print(json.dumps(dict(counts) | {"running": INSIDE.running}))
