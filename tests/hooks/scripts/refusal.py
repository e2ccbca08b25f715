"""Notes and refuses deepchecks' own call: its look-up of a host, and the file that it writes beside its code."""

import sys
from typing import Any

SEEN: list[str] = []


def hear(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what is refused: the library swallows the refusal, so nobody else tells."""
    if (event == "socket.getaddrinfo" and "deepchecks" in str(arguments[0])) or (
        event == "open" and str(arguments[0]).endswith(".user_id")
    ):
        SEEN.append(event)
        raise OSError("refused by the test")


sys.addaudithook(hear)
