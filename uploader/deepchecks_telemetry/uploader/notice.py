"""Shows a notice before anything is sent to an endpoint that deepchecks itself sets.

An endpoint set by the user, the environment or the administrator needs none. Any other endpoint is printed first: by
the notice, by `enable` while it is in force, or by `flush`. The file `notice` then lists it, because the mode `on` is
not a consent to an endpoint that a library sets later.
"""

import os
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING

from deepchecks_telemetry.spool.consent.decision import ON, read_policy
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.regular import read_plain
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.setting import ATTACHED

if TYPE_CHECKING:
    from typing import TextIO

MAX_URLS = 8  # enough for a user with several libraries that set endpoints: each has one notice

TEXT = """deepchecks records anonymous usage counts of seven events, such as running a check.
At most once a day, and not before {day} (UTC), it sends the counts to {url}
They contain nothing about you, your data or your models. See the exact request: deepchecks telemetry preview
Turn telemetry off in all your environments: deepchecks telemetry disable
Documentation: https://github.com/deepchecks/deepchecks-telemetry/tree/main/docs
"""


def needs_notice(source: str, policy: str | None, shown: Collection[str], url: str) -> bool:
    """Whether `url` has to be printed before anything is sent to it; `policy` is the administrator's mode."""
    return source == ATTACHED and policy != ON and url not in shown


def notice_shown(home: Home, endpoint: Endpoint) -> bool:
    """Whether `endpoint` needs no notice, or its notice was shown."""
    return not needs_notice(endpoint.source, read_policy(home).mode, _read_shown(home), endpoint.url)


def is_read_by_a_person(stream: "TextIO | None") -> bool:
    """Whether a person sees what is written to `stream` now: a terminal, or a notebook with a frontend.

    In an IPython kernel, `allow_stdin` of the current execution request shows it. A frontend sends true, so that
    `input()` works; nbclient (with nbconvert and papermill) sends false, because nobody could answer. The stream's
    `isatty()` does not distinguish the two there, and depends on the version of ipykernel.
    """
    application = getattr(sys.modules.get("ipykernel.kernelapp"), "IPKernelApp", None)
    if application is None or not application.initialized():
        return stream is not None and stream.isatty()
    request = application.instance().kernel.get_parent() or {}
    return request.get("content", {}).get("allow_stdin") is True


def show_notice(home: Home, endpoint: Endpoint, first_upload: int, stream: "TextIO") -> None:
    """Print the notice and record that; nothing is sent before `first_upload` (Unix seconds)."""
    # Recorded first: if that fails, nothing is printed and nothing sent. Otherwise every import would print the notice.
    shown_before = _read_shown(home)
    mark_shown(home, endpoint)
    try:
        import time

        stream.write(TEXT.format(url=endpoint.url, day=time.strftime("%Y-%m-%d", time.gmtime(first_upload))))
        stream.flush()
    except BaseException:
        _write_shown(home, shown_before)
        raise


def mark_shown(home: Home, endpoint: Endpoint) -> None:
    """Record that `endpoint` was printed to the user, if it needs a notice."""
    if endpoint.source == ATTACHED:
        _write_shown(home, [*(url for url in _read_shown(home) if url != endpoint.url), endpoint.url])


def _write_shown(home: Home, urls: list[str]) -> None:
    from deepchecks_telemetry.spool.choice import write_private

    write_private(os.path.join(home.config, "notice"), "".join(f"{url}\n" for url in urls[-MAX_URLS:]))


def _read_shown(home: Home) -> list[str]:
    try:
        text = read_plain(os.path.join(home.config, "notice"), 65_536).decode("utf-8", "replace")
    except OSError:
        return []
    return [url for url in text.splitlines() if url.strip()]
