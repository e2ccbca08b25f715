"""Prepares every script: refuses and notes deepchecks' own request, adds names to NumPy that 0.19.1 needs."""

import sys
from typing import Any

import numpy as np

SEEN: list[str] = []


def audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Note and refuse the look-up of its host and the file that it writes next to its code; it ignores the error."""
    if (event == "socket.getaddrinfo" and "deepchecks" in str(arguments[0])) or (
        event == "open" and str(arguments[0]).endswith(".user_id")
    ):
        SEEN.append(event)
        raise OSError("refused by the test")


sys.addaudithook(audit)

# On Python 3.13 only NumPy 2 is available, which has removed these names.
for name, value in {"Inf": "inf", "NINF": "-inf", "NaN": "nan"}.items():
    if not hasattr(np, name):
        setattr(np, name, float(value))
