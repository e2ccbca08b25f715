"""Closes connections of slow clients, and limits the number of connections.

Uvicorn's deadline only covers a connection that is idle between two requests; `limits` covers a body that is arriving.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 512  # half of the usual limit of descriptors of a process
HEAD_DEADLINE_S = 10.0


class Connection(H11Protocol):
    """Uvicorn's connection with a deadline for everything that the application does not wait for."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the deadline for the head of the first request, or close the connection if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        else:
            self._update_deadline()

    def data_received(self, data: bytes) -> None:
        """Process the data, then start or stop the deadline."""
        super().data_received(data)
        self._update_deadline()

    def on_response_complete(self) -> None:
        """Start the deadline for the next head, or for the rest of a body that is no longer read."""
        super().on_response_complete()
        self._update_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the deadline, which would keep this connection in memory."""
        super().connection_lost(exc)
        self._cancel_deadline()

    def _update_deadline(self) -> None:
        if not self._waits_for_client():
            self._cancel_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_DEADLINE_S, self.transport.abort)

    def _waits_for_client(self) -> bool:
        """Whether the next bytes of the client are a head, or the rest of a body that was already responded to."""
        client = self.conn.their_state
        return client is h11.IDLE or (client is h11.SEND_BODY and self.cycle.response_complete)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
