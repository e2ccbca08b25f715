"""A client that does not get on with its request is not waited for, and there are never more than can be borne.

Uvicorn's own deadline covers only a connection that idles between two requests; `intake` covers a body on its way.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 512  # half of the descriptors that a process usually has
HEAD_DEADLINE_S = 10.0


class Connection(H11Protocol):
    """Uvicorn's connection with a deadline for whatever the application itself does not wait for."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin the deadline of the first request's head, or turn the client away at once."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Take in what came, and see who is waiting for whom now."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Begin the deadline of the next head, or of a body that nobody reads any more."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline, which would keep this connection in memory."""
        super().connection_lost(exc)
        self._stop()

    def _watch(self) -> None:
        if not self._is_owed():
            self._stop()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_DEADLINE_S, self.transport.abort)

    def _is_owed(self) -> bool:
        """Whether the client's next bytes are a head, or the rest of a body that was answered already."""
        theirs = self.conn.their_state
        return theirs is h11.IDLE or (theirs is h11.SEND_BODY and self.cycle.response_complete)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
