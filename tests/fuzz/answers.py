"""What must hold of whatever a server says: it is an answer, in time, and rows are retired by two things only."""

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
SENTENCE = re.compile("[A-Za-z0-9 ,:()/-]+")  # words of ours, nothing of a server's
DEADLINE_S = 5.0  # for a loaded machine; every answer here ends at once


class Server:
    """A server on loopback that hears each request out, then says these bytes, whatever they are, and hangs up."""

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
    """Read the request whole: closing on unread bytes resets the connection, and the answer may be lost with it."""
    with connection.makefile("rb") as file:
        length = 0
        while (line := file.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        file.read(length)


@cache
def server() -> Server:
    """One for all inputs of this process."""
    return Server()


def wire(_: Path, data: bytes) -> str:
    """The bytes that a server says to a request of ours, status line, headers and all."""
    here = server()
    here.says, here.asked = data, 0
    given = post(here.endpoint, PACKED, deadline_s=DEADLINE_S)
    # Nothing is followed; only a server that knows no gzip is asked once more.
    assert here.asked == 1 or (here.asked == 2 and b"415" in data)
    assert (given.status is None) == (given.error is not None)
    assert given.error is None or (SENTENCE.fullmatch(given.error) and given.error != "timeout")
    return check_outcome(given, classify(given, now=NOW))


def answer(_: Path, data: bytes) -> str:
    """A line with the status (anything else: none came), a line with Retry-After, and the body."""
    first, wait, body = (*data.split(b"\n", 2), b"", b"")[:3]
    status = int(first) if re.fullmatch(rb"[1-9][0-9]{2}", first) else None
    given = Response(status, {"retry-after": wait.decode("latin-1")}, body, None if status else "timeout")
    return check_outcome(given, classify(given, now=NOW))


def check_outcome(given: Response, judged: Outcome) -> str:
    """Rows are retired by two things only: OTLP's Status in a 400, and OTLP's own answer to a success."""
    status, said = given.status or 0, _object(given.body)
    if judged.kind == REJECTED:
        assert status == HTTPStatus.BAD_REQUEST
        assert said is not None
        assert "code" in said
        assert set(said) <= {"code", "message", "details"}
    if judged.kind == DELIVERED:
        assert HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
        assert said is not None
        assert not said or "partialSuccess" in said
    assert judged.rejected_rows == (_told(said) if judged.kind == DELIVERED else 0)
    assert judged.retry_after_s is None or (judged.kind == RETRY and 0 <= judged.retry_after_s <= WEEK_S)
    assert SENTENCE.fullmatch(judged.reason)
    return judged.kind


def _told(said: Any) -> int:
    return int((said.get("partialSuccess") or {}).get("rejectedLogRecords") or 0)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None
