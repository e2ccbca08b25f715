"""A WSGI application that counts: at its import, which may happen in a master, and with each request."""

import os
from collections.abc import Callable, Iterable

from tests.campaigns.hosts.program import Journal

journal = Journal()
journal.record(3)
journal.write()


def application(environ: dict[str, object], start: Callable[..., object]) -> Iterable[bytes]:
    """Record five events, and answer with the number of this worker."""
    journal.record(5)
    journal.write()
    start("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
