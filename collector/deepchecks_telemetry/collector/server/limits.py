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
MAX_HELD_BYTES = 64 * 2**20  # of bodies that are being received or waiting, of all clients
BODY_DEADLINE_S = 30.0


class Intake:
    """The bodies in memory; for one event loop."""

    def __init__(self) -> None:
        self._held_bytes = 0

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """Receive a body within its deadline; its bytes count as held until the block ends."""
        held = bytearray()
        try:
            yield await asyncio.wait_for(self._receive(request, held), BODY_DEADLINE_S)
        except asyncio.TimeoutError as error:
            raise RequestError(408, f"The body did not arrive within {BODY_DEADLINE_S:.0f} s.") from error
        finally:
            self._held_bytes -= len(held)

    async def _receive(self, request: Request, held: bytearray) -> bytes:
        async for chunk in request.stream():
            held += chunk
            self._held_bytes += len(chunk)
            if len(held) > MAX_BODY_BYTES:
                raise RequestError(413, f"The body is larger than {MAX_BODY_BYTES} bytes.")
            if self._held_bytes > MAX_HELD_BYTES:
                raise overloaded()
        return bytes(held)


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
