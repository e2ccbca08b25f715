"""Imports deepchecks where its server never answers, and prints what was opened meanwhile that should not be."""

import json
import os
import socket
import sys
from typing import Any

# A listener that accepts nothing: a connection succeeds, and then nobody ever speaks. Every host name leads here.
BLACK_HOLE = socket.create_server(("127.0.0.1", 0))
_resolve = socket.getaddrinfo
heard: list[str] = []


def lead_here(*_: Any, **__: Any) -> Any:
    """Answer the black hole's address, whatever is asked for."""
    heard.append("getaddrinfo")
    host, port = BLACK_HOLE.getsockname()
    return _resolve(host, port, type=socket.SOCK_STREAM)


def hear(event: str, arguments: tuple[Any, ...]) -> None:
    """Note sockets that look up or connect, and files beside deepchecks' code that are opened for writing."""
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind"}:
        heard.append(event)
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    if event == "open" and isinstance(arguments[0], str) and arguments[2] & writing:
        name = os.path.basename(arguments[0])
        if f"{os.sep}deepchecks{os.sep}" in arguments[0] and "__pycache__" not in arguments[0]:
            heard.append(name)


socket.getaddrinfo = lead_here
sys.addaudithook(hear)
before = dict(os.environ)

import deepchecks  # noqa: E402 - after the hook, or there would be nothing to hear

new = {name for name in os.environ if before.get(name) != os.environ[name]}
print(json.dumps({"heard": heard, "variables": sorted(new), "file": deepchecks.__file__}))
