"""Properties of every response: the client gets an outcome in time, and only two kinds of response settle a batch."""

import gzip
import json
import re
import socket
import threading
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.wire.http import post
from deepchecks_telemetry.uploader.wire.outcome import DELIVERED, REJECTED, RETRY, Outcome, Response, classify

NOW = 1_800_000_000.0
WEEK_S = 7 * 86_400
PACKED = gzip.compress(b'{"resourceLogs":[]}', mtime=0)
SENTENCE = re.compile("[A-Za-z0-9 ,:()/-]+")  # only our text, none of a server's
DEADLINE_S = 5.0  # for a loaded machine; every response here ends immediately


class Server:
    """A server on loopback that reads each request completely, sends the given bytes, and disconnects."""

    def __init__(self) -> None:
        self.says = b""
        self.asked = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = Endpoint(f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1/logs", "a test")
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            self.asked += 1
            with suppress(OSError), connection:
                _hear(connection)
                connection.sendall(self.says)


def _hear(connection: socket.socket) -> None:
    """Read the whole request, because closing with unread bytes resets the connection, and the response may be lost."""
    with connection.makefile("rb") as file:
        length = 0
        while (line := file.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        file.read(length)


@cache
def server() -> Server:
    """One server for all inputs of this process."""
    return Server()


def wire(_: Path, data: bytes) -> str:
    """The complete bytes that a server sends, with status line and headers."""
    receiver = server()
    receiver.says, receiver.asked = data, 0
    given = post(receiver.endpoint, PACKED, deadline_s=DEADLINE_S)
    # No redirect is followed; only a server without gzip gets a second request.
    assert receiver.asked == 1 or (receiver.asked == 2 and b"415" in data)
    assert (given.status is None) == (given.error is not None)
    assert given.error is None or (SENTENCE.fullmatch(given.error) and given.error != "timeout")
    return check_outcome(given, classify(given, now=NOW))


def answer(_: Path, data: bytes) -> str:
    """A line with the status (anything else means no response), a line with Retry-After, and the body."""
    first, wait, body = (*data.split(b"\n", 2), b"", b"")[:3]
    status = int(first) if re.fullmatch(rb"[1-9][0-9]{2}", first) else None
    given = Response(status, {"retry-after": wait.decode("latin-1")}, body, None if status else "timeout")
    return check_outcome(given, classify(given, now=NOW))


def check_outcome(given: Response, judged: Outcome) -> str:
    """Only two responses settle a batch: a 400 with OTLP's Status, and a success with OTLP's response."""
    status, response = given.status or 0, _object(given.body)
    if judged.kind == REJECTED:
        assert status == HTTPStatus.BAD_REQUEST
        assert response is not None
        assert "code" in response
        assert set(response) <= {"code", "message", "details"}
    if judged.kind == DELIVERED:
        assert HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
        assert response is not None
        assert not response or "partialSuccess" in response
    assert judged.rejected_rows == (_rejected_rows(response) if judged.kind == DELIVERED else 0)
    assert judged.retry_after_s is None or (judged.kind == RETRY and 0 <= judged.retry_after_s <= WEEK_S)
    assert SENTENCE.fullmatch(judged.reason)
    return judged.kind


def _rejected_rows(response: Any) -> int:
    return int((response.get("partialSuccess") or {}).get("rejectedLogRecords") or 0)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        response = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return response if isinstance(response, dict) else None
