"""Told before sent: nothing leaves the machine before its owner knew what and where to, once for each endpoint.

Whoever set the endpoint or chose `on` knows; so does an administrator. Only an endpoint that deepchecks itself brings
needs the notice, on the standard error of a terminal or notebook that a person looks at.
"""

import os
import sys
from typing import TYPE_CHECKING

from deepchecks_telemetry.spool.consent.decision import ON, read_mode
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.regular import read_plain
from deepchecks_telemetry.uploader.endpoint import ATTACHED, Endpoint

if TYPE_CHECKING:
    from typing import TextIO

TEXT = """deepchecks counts anonymously which of seven things are done with it, and sends the counts once a day
to {url}
Nothing about you, your data or your models. See it: deepchecks telemetry preview
Turn it off for all environments of this machine: deepchecks telemetry disable
"""


def needs_telling(source: str, chosen: str | None, policy: str | None, told: str | None, url: str) -> bool:
    """Whether the owner must still be told: who named the endpoint, who chose what, and what the record says."""
    return source == ATTACHED and ON not in (chosen, policy) and told != url


def was_told(home: Home, endpoint: Endpoint, *, stream: "TextIO | None" = None) -> bool:
    """Whether `endpoint` may be sent to; if its owner can be told now, tell them, for the next time."""
    if not needs_telling(
        endpoint.source, read_mode(home.mode), read_mode(home.policy_mode), _read(_record(home)), endpoint.url
    ):
        return True
    stream = stream or sys.stderr
    if stream is not None and (stream.isatty() or "ipykernel.kernelapp" in sys.modules):
        _tell(home, endpoint, stream)
    return False


def _tell(home: Home, endpoint: Endpoint, stream: "TextIO") -> None:
    from deepchecks_telemetry.spool.choice import write_private

    # Where the record cannot be kept nobody is told, and so nothing is ever sent: else each import would tell it again.
    write_private(_record(home), endpoint.url + "\n")
    try:
        stream.write(TEXT.format(url=endpoint.url))
    except BaseException:
        os.unlink(_record(home))
        raise


def _record(home: Home) -> str:
    return os.path.join(home.config, "told")


def _read(path: str) -> str | None:
    try:
        return read_plain(path, 4096).decode("utf-8", "replace").strip()
    except OSError:
        return None
