"""Finds which source sets the endpoint: the administrator, the environment, the user, or deepchecks, in this order.

There is no built-in endpoint: if none is set, nothing leaves the machine. A host loads this module at each import of
deepchecks, and `endpoint` only if an endpoint is set.
"""

import os
from collections.abc import Callable, Mapping

from deepchecks_telemetry.spool.consent.decision import CHOICE, POLICY
from deepchecks_telemetry.spool.files import windows
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.regular import read_plain

VARIABLE = "DEEPCHECKS_TELEMETRY_ENDPOINT"
ATTACHED = "deepchecks itself"


def find_setting(
    home: Home, attached: str | None = None, environ: Mapping[str, str] = os.environ
) -> tuple[str, str] | None:
    """The source of the endpoint in force, and its text, which is not validated."""
    sources: tuple[tuple[str, Callable[[], str | None]], ...] = (
        (POLICY, lambda: _read_policy(home)),
        (VARIABLE, lambda: environ.get(VARIABLE)),
        (CHOICE, lambda: _read(home.config)),
        (ATTACHED, lambda: attached if attached is None else str(attached)),  # the spool may hold any type
    )
    for source, read in sources:
        try:
            text = read() or ""
        except OSError:
            from deepchecks_telemetry.uploader.errors import BadEndpoint

            raise BadEndpoint("the endpoint file cannot be read", source) from None
        if text.partition("\n")[0].split():
            return source, text
    return None


def _read_policy(home: Home) -> str | None:
    text = _read(home.policy)
    if text is not None and not windows.is_administrators(os.path.join(home.policy, "endpoint")):
        from deepchecks_telemetry.uploader.errors import BadEndpoint

        raise BadEndpoint("the endpoint file does not belong to the administrators of this machine", POLICY)
    return text


def _read(folder: str) -> str | None:
    try:
        return read_plain(os.path.join(folder, "endpoint"), 65536).decode("utf-8", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
