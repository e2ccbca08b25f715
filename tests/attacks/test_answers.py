"""A receiver that sends any response: the client's memory stays bounded, and no unsent batch is settled."""

import gzip
import socketserver
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.ledger import batches
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.flush import flush

from .network import Listener, Respond, listening

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
MIB = 2**20
WRITING_S = 1.5  # a little longer than the client waits
GROWTH_MIB = 24  # of the client's memory over all of them; each would send gigabytes

# A client that flushes to each URL that it reads, and prints the outcome and its peak memory.
CLIENT = """
import functools, sys
from pathlib import Path
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.flush import flush
from deepchecks_telemetry.uploader.wire.http import post
short = functools.partial(post, deadline_s=1.0)
for line in sys.stdin:
    (sent,) = flush(find_home(), Endpoint(line.strip(), "a test"), post=short, parked=True)
    held = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
    print(held, sent.outcome.kind, flush=True)
"""


def send_endlessly(head: bytes, part: bytes) -> Respond:
    """Send the head, then the same part endlessly, as fast as it is read."""

    def say(handler: socketserver.StreamRequestHandler) -> None:
        end = time.monotonic() + WRITING_S
        handler.wfile.write(head)
        while time.monotonic() < end:
            handler.wfile.write(part)

    return say


BOMB = gzip.compress(bytes(16 * MIB), mtime=0)  # gzip allows any number of members in sequence
ENDLESS: dict[str, Respond] = {
    "a body of a gigabyte": send_endlessly(OK + b"Content-Length: 1000000000\r\n\r\n", b" " * 65_536),
    "a body without end": send_endlessly(OK + b"\r\n", b" " * 65_536),
    "chunks without end": send_endlessly(CHUNKED, b"10000\r\n" + b" " * 65_536 + b"\r\n"),
    "chunks of one byte": send_endlessly(CHUNKED, b"1\r\n \r\n" * 5_000),
    "a chunk of 2**64 bytes": send_endlessly(CHUNKED + b"ffffffffffffffff\r\n", b" " * 65_536),
    "a chunk's size without end": send_endlessly(CHUNKED, b"0" * 65_536),
    "trailers without end": send_endlessly(CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: 1\r\n" * 5_000),
    "a gzip bomb": send_endlessly(OK + b"Content-Encoding: gzip\r\n\r\n", BOMB * 4),
    "a status line without end": send_endlessly(b"HTTP/1.1 200 ", b"a" * 65_536),
    "headers without end": send_endlessly(OK, b"X: 1\r\n" * 5_000),
    "a header without end": send_endlessly(OK + b"X: ", b"a" * 65_536),
    "interim answers without end": send_endlessly(b"", b"HTTP/1.1 100 Continue\r\nX: 1\r\n\r\n" * 1_000),
}


@pytest.fixture
def server() -> Iterator[Listener]:
    with listening() as running:
        yield running


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc/PID/status")
def test_an_endless_response_uses_no_memory_and_settles_nothing(server: Listener) -> None:
    assert record("run-check")
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", CLIENT], stdin=pipe, stdout=pipe, text=True, bufsize=1) as client:

        def measure(answer: "bytes | Respond") -> tuple[int, str]:
            server.answer = answer
            assert client.stdin is not None
            assert client.stdout is not None
            client.stdin.write(f"{server.url}/v1/logs\n")
            held_kib, kind = client.stdout.readline().split()
            return int(held_kib) // 1024, kind

        before, _ = measure(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
        found = {name: measure(say) for name, say in ENDLESS.items()}
        client.stdin.close() if client.stdin else None
        assert client.wait(30) == 0
    assert {kind for _, kind in found.values()} == {"retry"}, found
    assert {name: held for name, (held, _) in found.items() if held - before > GROWTH_MIB} == {}
    assert [batch.state for batch in batches(find_home())] == ["sealed"]


ODD = {
    "a length of many digits": OK + b"Content-Length: " + b"9" * 60_000 + b"\r\n\r\n<html>",
    "a length beyond the answer": OK + b"Content-Length: 999999999999\r\n\r\n{}",
    "a negative length": OK + b"Content-Length: -2\r\n\r\n<html>",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a length and chunks": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "http/0.9": b"{}",
    "http/3": b"HTTP/3 200 OK\r\nContent-Length: 9\r\n\r\n{}",
    "two answers, the first of them a promise": b"HTTP/1.1 100 Continue\r\n\r\n" * 50 + OK + b"\r\n<html>",
    "utf-16": OK + b"\r\n" + '{"partialSuccess": 1}'.encode("utf-16"),
    "no utf-8": OK + b'\r\n{"partialSuccess":"\xff"}',
    "100,000 levels": OK + b"\r\n" + b'{"partialSuccess":' * 3_000 + b"[" * 10_000,
    "many digits": OK + b'\r\n{"partialSuccess":{"rejectedLogRecords":' + b"9" * 60_000 + b"}}",
    "minus one": OK + b'\r\n{"partialSuccess":{"rejectedLogRecords":-1}}',
    "not a number": OK + b'\r\n{"partialSuccess":{"rejectedLogRecords":NaN}}',
    "twice the same key": OK + b'\r\n{"partialSuccess":null,"partialSuccess":[]}',
    "a rejection by somebody on the way": b"HTTP/1.1 400 Bad\r\n\r\n<html>",
    "a rejection in another's words": b'HTTP/1.1 400 Bad\r\n\r\n{"code":400,"message":"no"}',
    "a rejection by 500": b'HTTP/1.1 500 No\r\n\r\n{"code":3,"message":"no"}',
}


def test_an_unexpected_response_settles_nothing(server: Listener) -> None:
    assert record("run-check")
    for name, answer in ODD.items():
        server.answer = answer
        (sent,) = flush(find_home(), Endpoint(f"{server.url}/v1/logs", "a test"), parked=True)
        assert sent.outcome.kind in ("retry", "parked"), name
        assert sent.outcome.reason.isprintable(), name
        stats = read_accounts(find_home())
        assert (stats.sealed + stats.parked, stats.delivered, stats.rejected, stats.balance) == (1, 0, 0, 0), name


@pytest.mark.parametrize("rejected", [b"9223372036854775807", b'"9223372036854775807"', b"2"])
def test_a_receiver_cannot_reject_more_than_it_was_sent(server: Listener, rejected: bytes) -> None:
    assert record("run-check")
    server.answer = OK + b'\r\n{"partialSuccess":{"rejectedLogRecords":' + rejected + b"}}"
    (sent,) = flush(find_home(), Endpoint(f"{server.url}/v1/logs", "a test"))
    assert sent.outcome.kind == "delivered"
    stats = read_accounts(find_home())
    assert (stats.rejected, stats.delivered, stats.balance) == (1, 0, 0)


@pytest.mark.parametrize("wait", [b"-1", b"soon", b"1e9", b"9" * 60_000, b"Fri, 31 Dec 9999 23:59:59 GMT", b"\xff"])
def test_a_receiver_cannot_pause_a_client_for_more_than_a_week(server: Listener, wait: bytes) -> None:
    assert record("run-check")
    server.answer = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\nRetry-After: " + wait + b"\r\n\r\n"
    now = 1_800_000_000.0
    (sent,) = flush(find_home(), Endpoint(f"{server.url}/v1/logs", "a test"), clock=lambda: now)
    assert sent.outcome.kind == "retry"
    with opened(find_home()) as connection:
        asked = [until for (until,) in connection.execute("SELECT until FROM retry_after")]
    assert all(now <= until <= now + 7 * 86_400 for until in asked)
    server.answer = Listener.answer
    later = flush(find_home(), Endpoint(f"{server.url}/v1/logs", "a test"), clock=lambda: now + 7 * 86_400 + 1)
    assert [sent.outcome.kind for sent in later] == ["delivered"]
