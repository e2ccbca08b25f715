"""Delivering, on a connected machine: a courier's files are sent on as they are, each batch once, by its own ledger.

It concerns other machines' counts, so it works in every mode, and touches neither this user's spool nor its schedule.
"""

import gzip
import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint, CannotWrite
from deepchecks_telemetry.uploader.offline.bundle import Request
from deepchecks_telemetry.uploader.offline.receipt import Entry
from deepchecks_telemetry.uploader.wire import outcome
from deepchecks_telemetry.uploader.wire.http import post
from deepchecks_telemetry.uploader.wire.outcome import Answer, Outcome, classify

Post = Callable[[Endpoint, bytes], Answer]
LEDGER = """CREATE TABLE IF NOT EXISTS deliveries (
  sha256 TEXT, receiver TEXT, outcome TEXT NOT NULL, rejected_rows INTEGER NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (sha256, receiver)
) WITHOUT ROWID"""
FINAL = (outcome.DELIVERED, outcome.REJECTED)


@dataclass(frozen=True, slots=True)
class Delivered:
    """One request of a file and what became of it; `entry` is for the receipt, None while it must be tried again."""

    request: Request
    outcome: Outcome
    entry: Entry | None


def deliver(
    requests: Sequence[Request],
    endpoint: Endpoint,
    ledger: str,
    *,
    post: Post = post,
    clock: Callable[[], float] = time.time,
    lock_s: float = 1.0,
) -> Iterator[Delivered]:
    """Send each request that this endpoint has not had by the ledger; stops after one that must be tried again later.

    A crash between an answer and the ledger sends a request twice: the receiver drops the uids that it knows.
    """
    if endpoint.folder is not None:
        raise BadEndpoint("exported files can be delivered only to an http:// or https:// endpoint, not to a directory")
    receiver = _digest(endpoint)
    with _opened(ledger) as books, hold(f"{ledger}.lock", lock_s):
        for request in requests:
            known = _find(books, request, receiver)
            if known:
                yield Delivered(request, Outcome(known.outcome, f"already {known.outcome}"), known)
                continue
            tried = classify(post(endpoint, gzip.compress(request.body, mtime=0)), now=clock())
            yield Delivered(request, tried, _book(books, request, receiver, tried, int(clock())))
            if tried.kind == outcome.RETRY:
                return


def _digest(endpoint: Endpoint) -> str:
    """Which receiver, by the whole URL: the path alone can tell a test tenant of a gateway from the real one."""
    url = urlsplit(endpoint.url)
    default = {"http": 80, "https": 443}.get(url.scheme)
    return hashlib.sha256(f"{url.scheme}://{url.hostname}:{url.port or default}{url.path}".encode()).hexdigest()


def _find(books: sqlite3.Connection, request: Request, receiver: str) -> Entry | None:
    query = "SELECT outcome, rejected_rows FROM deliveries WHERE (sha256, receiver) = (?, ?)"
    known = books.execute(query, (request.sha256, receiver)).fetchone()
    return Entry(request.sha256, *known) if known else None


def _book(books: sqlite3.Connection, request: Request, receiver: str, tried: Outcome, now: int) -> Entry | None:
    if tried.kind not in FINAL:
        return None
    rejected = request.rows if tried.kind == outcome.REJECTED else min(tried.rejected_rows, request.rows)
    values = (request.sha256, receiver, tried.kind, rejected, now)
    books.execute("INSERT OR IGNORE INTO deliveries VALUES (?, ?, ?, ?, ?)", values)
    return Entry(request.sha256, tried.kind, rejected)


@contextmanager
def _opened(path: str) -> Iterator[sqlite3.Connection]:
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
        with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as books:
            books.execute(LEDGER)
            yield books
    except (OSError, sqlite3.Error) as error:
        raise CannotWrite(f"the delivery ledger {path} cannot be used ({type(error).__name__})") from error
