"""The notice that comes before the first upload to an endpoint that deepchecks itself sets.

The user, the environment and the administrator know an endpoint that they set. Any other endpoint is printed first: by
the notice, by `enable` while it is in force, or by `flush`. It is then kept in the file `notice`, so `on` in general is
no consent to an endpoint that a library brings later.
"""

import os
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING

from deepchecks_telemetry.spool.consent.decision import ON, read_mode
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.regular import read_plain
from deepchecks_telemetry.uploader.endpoint import ATTACHED, Endpoint

if TYPE_CHECKING:
    from typing import TextIO

NAMES = ("notice", "told")  # the second is what the file was called before
KEPT = 8  # endpoints: a user whose environments have several libraries sees one notice for each

TEXT = """deepchecks records anonymous usage counts of seven events, such as running a check.
At most once a day, and not before {day} (UTC), it sends the counts to {url}
They contain nothing about you, your data or your models. See the exact request: deepchecks telemetry preview
Turn telemetry off in all your environments: deepchecks telemetry disable
"""


def needs_notice(source: str, policy: str | None, shown: Collection[str], url: str) -> bool:
    """Whether `url` has to be printed before anything is sent to it; `policy` is the administrator's mode."""
    return source == ATTACHED and policy != ON and url not in shown


def notice_shown(home: Home, endpoint: Endpoint) -> bool:
    """Whether `endpoint` needs no notice, or no more."""
    return not needs_notice(endpoint.source, read_mode(home.policy_mode), _read_shown(home), endpoint.url)


def is_read_by_a_person(stream: "TextIO | None") -> bool:
    """Whether somebody sees now what is written to `stream`: a terminal, or a notebook with a frontend.

    In an IPython kernel the answer is `allow_stdin` of the request that is being executed: a frontend sends true, so
    that `input()` works. nbclient, and with it nbconvert and papermill, sends false: nobody is there to answer. What
    the stream itself says there depends on ipykernel's version, and is the same in both cases.
    """
    application = getattr(sys.modules.get("ipykernel.kernelapp"), "IPKernelApp", None)
    if application is None or not application.initialized():
        return stream is not None and stream.isatty()
    request = application.instance().kernel.get_parent() or {}
    return request.get("content", {}).get("allow_stdin") is True


def show_notice(home: Home, endpoint: Endpoint, first_upload: int, stream: "TextIO") -> None:
    """Print the notice and keep that it was shown; `first_upload` (Unix seconds) is before when nothing is sent."""
    # Where that cannot be kept nothing is printed, and nothing is ever sent: else each import would print it again.
    before = _read_shown(home)
    mark_shown(home, endpoint)
    try:
        import time

        stream.write(TEXT.format(url=endpoint.url, day=time.strftime("%Y-%m-%d", time.gmtime(first_upload))))
        stream.flush()
    except BaseException:
        _write_shown(home, before)
        raise


def mark_shown(home: Home, endpoint: Endpoint) -> None:
    """Keep that `endpoint` was printed to its owner."""
    if endpoint.source == ATTACHED:
        _write_shown(home, [*(url for url in _read_shown(home) if url != endpoint.url), endpoint.url])


def _write_shown(home: Home, urls: list[str]) -> None:
    from deepchecks_telemetry.spool.choice import write_private

    write_private(os.path.join(home.config, NAMES[0]), "".join(f"{url}\n" for url in urls[-KEPT:]))


def _read_shown(home: Home) -> list[str]:
    return [url for name in NAMES for url in _read(os.path.join(home.config, name)).splitlines() if url.strip()]


def _read(path: str) -> str:
    try:
        return read_plain(path, 65_536).decode("utf-8", "replace")
    except OSError:
        return ""
