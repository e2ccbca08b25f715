"""A WSGI application that counts: at its import, which may happen in a master, and with each request."""

import os
from collections.abc import Callable, Iterable

from tests.campaigns.hosts.program import Book

book = Book()
book.record(3)
book.write()


def application(environ: dict[str, object], start: Callable[..., object]) -> Iterable[bytes]:
    """Record five events, and answer with the number of this worker."""
    book.record(5)
    book.write()
    start("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
