"""Decodes the bodies that are waiting, and stores the rows of many requests in one transaction.

Each commit waits for the disk, and changes pages of the index of uids at random places; requests that arrive while
one is running share the next. A request is answered after the commit that stored its rows.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from starlette.concurrency import run_in_threadpool

from deepchecks_telemetry.collector.codec import Encoding
from deepchecks_telemetry.collector.errors import RequestError, StoreError
from deepchecks_telemetry.collector.otlp import Decoded, Row, read
from deepchecks_telemetry.collector.server.limits import decompress, overloaded
from deepchecks_telemetry.collector.store import Store

MAX_WAITING = 128  # complete bodies: some 5 s of work, half of the read timeout of our uploader
MAX_BATCH_ROWS = 10_000  # a transaction begins no further request beyond them, so it holds at most twice as many


@dataclass(eq=False)
class _Job:
    """A body, and its result after the commit."""

    body: bytes
    coding: str
    encoding: Encoding
    result: Decoded | RequestError | StoreError | None = None


class Writer:
    """The bodies that wait to be decoded; for one event loop."""

    def __init__(self, store: Store, today: Callable[[], date]) -> None:
        self._store, self._today = store, today
        self._jobs: deque[_Job] = deque()
        self._waiting = 0
        # One body at a time is decompressed and decoded, because JSON takes some 30 times its size as Python objects.
        self._turn = asyncio.Lock()

    async def accept(self, body: bytes, coding: str, encoding: Encoding) -> Decoded:
        """Store the rows of a body and return after the commit; raises `RequestError` and `StoreError`."""
        if self._waiting >= MAX_WAITING:
            raise overloaded()
        job = _Job(body, coding, encoding)
        self._waiting += 1
        self._jobs.append(job)
        try:
            async with self._turn:
                if job in self._jobs:  # else an earlier turn has stored it with its own
                    await run_in_threadpool(self._store_batch)
        finally:
            self._waiting -= 1
        return _outcome(job)

    def _store_batch(self) -> None:
        """Decode the waiting bodies in turn, and store the rows of all that could be decoded."""
        day, rows = self._today(), list[Row]()
        decoded: list[tuple[_Job, Decoded]] = []
        while self._jobs and len(rows) < MAX_BATCH_ROWS:
            job = self._jobs.popleft()
            try:
                decoded.append((job, _decode(job, day)))
                rows += decoded[-1][1].rows
            except RequestError as error:
                job.result = error
        failure = self._append(rows, day)
        for job, result in decoded:
            job.result = failure or result

    def _append(self, rows: list[Row], day: date) -> StoreError | None:
        try:
            self._store.append(rows, received=day)
        except StoreError as error:
            return error
        return None


def _decode(job: _Job, day: date) -> Decoded:
    return read(job.encoding.parse(decompress(job.body) if job.coding == "gzip" else job.body), today=day)


def _outcome(job: _Job) -> Decoded:
    if isinstance(job.result, Decoded):
        return job.result
    # None after an error in the turn of another request: nothing is known to be stored, so the sender keeps its rows.
    raise job.result or StoreError("The request was not stored.")
