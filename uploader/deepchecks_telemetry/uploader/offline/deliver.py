"""Delivering, on a connected machine: a courier's files are sent on as they are, each batch once, by its own ledger.

It concerns other machines' counts, so it works in every mode, and touches neither this user's spool nor its schedule.
"""

import gzip
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint, CannotWrite
from deepchecks_telemetry.uploader.offline.bundle import Request
from deepchecks_telemetry.uploader.offline.receipt import Entry
from deepchecks_telemetry.uploader.wire import outcome
from deepchecks_telemetry.uploader.wire.http import post
from deepchecks_telemetry.uploader.wire.outcome import Answer, Outcome, classify

Post = Callable[[Endpoint, bytes], Answer]
LEDGER = """CREATE TABLE IF NOT EXISTS delivered (
  sha256 TEXT PRIMARY KEY, outcome TEXT NOT NULL, rejected_rows INTEGER NOT NULL, at INTEGER NOT NULL
) WITHOUT ROWID"""
FINAL = (outcome.DELIVERED, outcome.REJECTED)


@dataclass(frozen=True, slots=True)
class Delivered:
    """One request of a file and what became of it; `entry` is for the receipt, None while it must be tried again."""

    request: Request
    outcome: Outcome
    entry: Entry | None


def find_ledger(home: Home) -> str:
    """Where the courier's ledger is kept: beside this user's own folders, since it is about others."""
    return os.path.join(os.path.dirname(home.config), "courier", "ledger.db")


def deliver(
    requests: Sequence[Request],
    endpoint: Endpoint,
    ledger: str,
    *,
    post: Post = post,
    clock: Callable[[], float] = time.time,
    lock_s: float = 1.0,
) -> Iterator[Delivered]:
    """Send each request that the ledger does not know yet; stops after one that must be tried again later.

    A crash between an answer and the ledger sends a request twice: the receiver drops the uids that it knows.
    """
    if endpoint.folder is not None:
        raise BadEndpoint("a folder is no receiver that files could be delivered to")
    with _opened(ledger) as books, hold(f"{ledger}.lock", lock_s):
        for request in requests:
            known = books.execute(
                "SELECT outcome, rejected_rows FROM delivered WHERE sha256 = ?", (request.sha256,)
            ).fetchone()
            if known:
                yield Delivered(request, Outcome(known[0], "was delivered before"), Entry(request.sha256, *known))
                continue
            tried = classify(post(endpoint, gzip.compress(request.body, mtime=0)), now=clock())
            yield Delivered(request, tried, _book(books, request, tried, int(clock())))
            if tried.kind == outcome.RETRY:
                return


def _book(books: sqlite3.Connection, request: Request, tried: Outcome, now: int) -> Entry | None:
    if tried.kind not in FINAL:
        return None
    rejected = request.rows if tried.kind == outcome.REJECTED else min(tried.rejected_rows, request.rows)
    entry = Entry(request.sha256, tried.kind, rejected)
    books.execute("INSERT OR IGNORE INTO delivered VALUES (?, ?, ?, ?)", (*_values(entry), now))
    return entry


def _values(entry: Entry) -> tuple[str, str, int]:
    return entry.sha256, entry.outcome, entry.rejected_rows


@contextmanager
def _opened(path: str) -> Iterator[sqlite3.Connection]:
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
        with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as books:
            books.execute(LEDGER)
            yield books
    except (OSError, sqlite3.Error) as error:
        raise CannotWrite(f"the courier's ledger {path} cannot be used ({type(error).__name__})") from error
