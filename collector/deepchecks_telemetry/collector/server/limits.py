"""Limits the requests in memory: beyond the limits, a sender is asked to retry later (429)."""

import asyncio
import gzip
import io
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from deepchecks_telemetry.collector.errors import RequestError

MAX_BODY_BYTES = 4 * 2**20
MAX_EXPANDED_BYTES = 8 * 2**20  # twice 10,000 of our records; gzip compresses our bodies to a tenth
MAX_HELD_BYTES = 64 * 2**20  # of all bodies that are being received or waiting
BODY_DEADLINE_S = 30.0


class _Arrival:
    """A body that is being received, or that waits until its rows are stored."""

    def __init__(self) -> None:
        self.held = bytearray()
        self.refused = False
        self.task: asyncio.Task[bytes] | None = None


class Intake:
    """The bodies in memory; for one event loop."""

    def __init__(self) -> None:
        self._held_bytes = 0
        self._arriving: dict[_Arrival, None] = {}  # those that are not complete, in the order in which they began

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """Receive a body within its deadline; its bytes count as held until the block ends."""
        arrival = _Arrival()
        self._arriving[arrival] = None
        try:
            yield await self._received(request, arrival)
        finally:
            self._arriving.pop(arrival, None)
            self._held_bytes -= len(arrival.held)

    async def _received(self, request: Request, arrival: _Arrival) -> bytes:
        arrival.task = asyncio.ensure_future(self._receive(request, arrival))
        try:
            return await asyncio.wait_for(arrival.task, BODY_DEADLINE_S)
        except asyncio.TimeoutError as error:
            raise RequestError(408, f"The body did not arrive within {BODY_DEADLINE_S:.0f} s.") from error
        except asyncio.CancelledError:
            if arrival.refused:
                raise overloaded() from None
            raise

    async def _receive(self, request: Request, arrival: _Arrival) -> bytes:
        async for chunk in request.stream():
            if arrival.refused:  # a chunk that was there already is returned before the cancellation
                break
            arrival.held += chunk
            self._held_bytes += len(chunk)
            if len(arrival.held) > MAX_BODY_BYTES:
                raise RequestError(413, f"The body is larger than {MAX_BODY_BYTES} bytes.")
            self._make_room()
        if arrival.refused:
            raise overloaded()
        del self._arriving[arrival]
        return bytes(arrival.held)

    def _make_room(self) -> None:
        """Refuse the bodies that have been arriving for the longest time, so that senders that stall block nobody."""
        while self._held_bytes > MAX_HELD_BYTES and self._arriving:
            oldest = next(iter(self._arriving))
            del self._arriving[oldest]
            oldest.refused = True
            self._held_bytes -= len(oldest.held)
            oldest.held.clear()
            if oldest.task is not None:
                oldest.task.cancel()


def decompress(body: bytes) -> bytes:
    """Decompress gzip, never beyond the limit."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
            content = file.read(MAX_EXPANDED_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise RequestError(400, "The body is not gzip, although its Content-Encoding says so.") from error
    if len(content) > MAX_EXPANDED_BYTES:
        raise RequestError(413, f"The body expands to more than {MAX_EXPANDED_BYTES} bytes.")
    return content


def overloaded() -> RequestError:
    """The error of a request that is refused so that the collector stays within its limits."""
    return RequestError(429, "The collector is behind with what it was sent.")
