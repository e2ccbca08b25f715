"""Logs one line per request: time, method, path, status, bytes read of the body, milliseconds; no sender.

Uvicorn's access log has the address of the sender in each line.
"""

import time
from collections.abc import Callable
from datetime import datetime, timezone

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_CHARS = 200  # of a path, which a sender can make as long as the head of a request


class RequestLog:
    """Wraps an application, and calls `write` with a line, without its end, after each request."""

    def __init__(self, app: ASGIApp, write: Callable[[str], None]) -> None:
        self._app, self._write = app, write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and log it also if it was interrupted (the status is then -)."""
        status, size_bytes, start = "-", 0, time.monotonic()

        async def counted() -> Message:
            nonlocal size_bytes
            message = await receive()
            size_bytes += len(message.get("body", b""))
            return message

        async def watched(message: Message) -> None:
            nonlocal status
            status = str(message.get("status", status))
            await send(message)

        try:
            await self._app(scope, counted, watched)
        finally:
            # An error here (a closed pipe) fails no request, because the response is complete.
            self._write(_line(scope, status, size_bytes, time.monotonic() - start))


def _line(scope: Scope, status: str, size_bytes: int, duration_s: float) -> str:
    # `raw_path` is without the query and percent-encoded, so it has neither spaces nor control characters.
    method, path = scope["method"][:MAX_CHARS], scope["raw_path"].decode("ascii", "replace")[:MAX_CHARS]
    now = datetime.now(timezone.utc)
    return f"{now:%Y-%m-%dT%H:%M:%SZ} {method} {path} {status} {size_bytes} bytes {duration_s * 1000:.0f} ms"
