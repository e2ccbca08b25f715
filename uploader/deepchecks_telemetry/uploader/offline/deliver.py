"""Sends exported files from a connected machine, unchanged, and each batch once, which its own ledger ensures.

The counts are those of other machines, so it works in every mode, and uses neither this user's spool nor its schedule.
"""

import gzip
import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint, CannotWrite
from deepchecks_telemetry.uploader.offline.bundle import Request
from deepchecks_telemetry.uploader.offline.receipt import Entry
from deepchecks_telemetry.uploader.wire import outcome
from deepchecks_telemetry.uploader.wire.http import post
from deepchecks_telemetry.uploader.wire.outcome import Outcome, Response, classify

Post = Callable[[Endpoint, bytes], Response]
CREATE_TABLE = """CREATE TABLE IF NOT EXISTS deliveries (
  sha256 TEXT, receiver TEXT, outcome TEXT NOT NULL, rejected_rows INTEGER NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (sha256, receiver)
) WITHOUT ROWID"""
FINAL = (outcome.DELIVERED, outcome.REJECTED)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request of a file and its outcome; `entry` is for the receipt, None if the request must be retried."""

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
) -> Iterator[Delivery]:
    """Send each request that the ledger does not list for this endpoint; stops after one that must be retried later.

    After a crash between the response and the ledger, a request is sent again: the receiver drops repeated uids.
    """
    if endpoint.folder is not None:
        raise BadEndpoint("exported files can be delivered only to an http:// or https:// endpoint, not to a directory")
    receiver = _receiver_digest(endpoint)
    with _opened(ledger) as connection, hold(f"{os.path.abspath(ledger)}.lock", lock_s):
        for request in requests:
            known = _find(connection, request, receiver)
            if known:
                yield Delivery(request, Outcome(known.outcome, f"already {known.outcome}"), known)
                continue
            result = classify(post(endpoint, gzip.compress(request.body, mtime=0)), now=clock())
            yield Delivery(request, result, _record(connection, request, receiver, result, int(clock())))
            if result.kind == outcome.RETRY:
                return


def _receiver_digest(endpoint: Endpoint) -> str:
    """A digest of the whole URL, because tenants of a gateway may differ only in the path."""
    url = urlsplit(endpoint.url)
    default = {"http": 80, "https": 443}.get(url.scheme)
    return hashlib.sha256(f"{url.scheme}://{url.hostname}:{url.port or default}{url.path}".encode()).hexdigest()


def _find(connection: sqlite3.Connection, request: Request, receiver: str) -> Entry | None:
    query = "SELECT outcome, rejected_rows FROM deliveries WHERE (sha256, receiver) = (?, ?)"
    known = connection.execute(query, (request.sha256, receiver)).fetchone()
    return Entry(request.sha256, *known) if known else None


def _record(connection: sqlite3.Connection, request: Request, receiver: str, result: Outcome, now: int) -> Entry | None:
    if result.kind not in FINAL:
        return None
    rejected = request.rows if result.kind == outcome.REJECTED else min(result.rejected_rows, request.rows)
    values = (request.sha256, receiver, result.kind, rejected, now)
    connection.execute("INSERT OR IGNORE INTO deliveries VALUES (?, ?, ?, ?, ?)", values)
    return Entry(request.sha256, result.kind, rejected)


@contextmanager
def _opened(path: str) -> Iterator[sqlite3.Connection]:
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
        Path(path).touch(mode=0o600)  # SQLite creates its other files with the same mode
        with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as connection:
            connection.execute(CREATE_TABLE)
            yield connection
    except (OSError, sqlite3.Error) as error:
        raise CannotWrite(f"the delivery ledger {path} cannot be used ({type(error).__name__})") from error
