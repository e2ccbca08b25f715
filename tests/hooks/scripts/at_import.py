"""Imports deepchecks with a server that never responds; prints the sockets and files that were opened meanwhile."""

import json
import os
import socket
import sys
from typing import Any

# A listener that never accepts: connecting succeeds, and no response follows. Every host name resolves to it.
BLACK_HOLE = socket.create_server(("127.0.0.1", 0))
_resolve = socket.getaddrinfo
opened: list[str] = []


def resolve_to_listener(*_: Any, **__: Any) -> Any:
    """Return the address of the listener for every host name."""
    opened.append("getaddrinfo")
    host, port = BLACK_HOLE.getsockname()
    return _resolve(host, port, type=socket.SOCK_STREAM)


def audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Note name look-ups and connections, and files next to deepchecks' code that are opened for writing."""
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind"}:
        opened.append(event)
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    if event == "open" and isinstance(arguments[0], str) and arguments[2] & writing:
        name = os.path.basename(arguments[0])
        if f"{os.sep}deepchecks{os.sep}" in arguments[0] and "__pycache__" not in arguments[0]:
            opened.append(name)


socket.getaddrinfo = resolve_to_listener
sys.addaudithook(audit)
before = dict(os.environ)

import deepchecks  # noqa: E402 - must follow the audit hook

new = {name for name in os.environ if before.get(name) != os.environ[name]}
print(json.dumps({"opened": opened, "variables": sorted(new), "file": deepchecks.__file__}))
