"""What is in hand at one moment is bounded, so that memory is: beyond it a sender is asked to come again (429)."""

import asyncio
import gzip
import io
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from deepchecks_telemetry.collector.errors import RequestError

MAX_BODY_BYTES = 4 * 2**20
MAX_EXPANDED_BYTES = 8 * 2**20  # 10,000 of our own records and as much again; our bodies shrink to a tenth
MAX_HELD_BYTES = 64 * 2**20  # of bodies that arrive or wait, of all clients together
MAX_WAITING = 128  # whole bodies: some 5 s of work, half of what our own uploader waits for an answer
BODY_DEADLINE_S = 30.0


class Intake:
    """The bodies in hand; belongs to one event loop."""

    def __init__(self) -> None:
        self._held_bytes = 0
        self._waiting = 0
        # One body at a time is expanded and decoded: JSON takes some 30 times its size as Python objects.
        self._lane = asyncio.Lock()

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """Receive a body within its deadline, and count its bytes until it is done with."""
        held = bytearray()
        try:
            yield await asyncio.wait_for(self._receive(request, held), BODY_DEADLINE_S)
        except asyncio.TimeoutError as error:
            raise RequestError(408, f"The body did not arrive within {BODY_DEADLINE_S:.0f} s.") from error
        finally:
            self._held_bytes -= len(held)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until this body alone is worked on, unless too many wait already."""
        if self._waiting >= MAX_WAITING:
            raise _behind()
        self._waiting += 1
        try:
            async with self._lane:
                yield
        finally:
            self._waiting -= 1

    async def _receive(self, request: Request, held: bytearray) -> bytes:
        async for chunk in request.stream():
            held += chunk
            self._held_bytes += len(chunk)
            if len(held) > MAX_BODY_BYTES:
                raise RequestError(413, f"The body is larger than {MAX_BODY_BYTES} bytes.")
            if self._held_bytes > MAX_HELD_BYTES:
                raise _behind()
        return bytes(held)


def expanded(body: bytes) -> bytes:
    """Undo gzip, never beyond the limit."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
            content = file.read(MAX_EXPANDED_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise RequestError(400, "The body is not gzip, although its Content-Encoding says so.") from error
    if len(content) > MAX_EXPANDED_BYTES:
        raise RequestError(413, f"The body expands to more than {MAX_EXPANDED_BYTES} bytes.")
    return content


def _behind() -> RequestError:
    return RequestError(429, "The collector is behind with what it was sent.")
