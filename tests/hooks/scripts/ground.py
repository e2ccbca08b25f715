"""What every script stands on: deepchecks' own call noted and refused, and the names that 0.19.1 asks NumPy for."""

import sys
from typing import Any

import numpy as np

SEEN: list[str] = []


def hear(event: str, arguments: tuple[Any, ...]) -> None:
    """Note and refuse the look-up of its host, and the file that it writes beside its code: it swallows the refusal."""
    if (event == "socket.getaddrinfo" and "deepchecks" in str(arguments[0])) or (
        event == "open" and str(arguments[0]).endswith(".user_id")
    ):
        SEEN.append(event)
        raise OSError("refused by the test")


sys.addaudithook(hear)

# Python 3.13 has no NumPy older than 2, which has dropped them.
for name, value in {"Inf": "inf", "NINF": "-inf", "NaN": "nan"}.items():
    if not hasattr(np, name):
        setattr(np, name, float(value))
