"""One POST to real servers that misbehave in every way: it always returns, and always in time."""

import gzip
import os
import socket
import struct
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.wire import causes
from deepchecks_telemetry.uploader.wire.http import MAX_RESPONSE_BYTES, post
from deepchecks_telemetry.uploader.wire.outcome import DELIVERED, PARKED, RETRY, Response, classify

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.uploader.conftest import Behave, Hostile, Receiver

PACKED = gzip.compress(b'{"resourceLogs":[]}', mtime=0)
DEADLINE_S = 0.4
SLACK_S = 5.0  # for a machine under load; far below the read timeout of 10 s
OK = b"HTTP/1.1 200 OK\r\n"
PASSWORD = "hunter2"


def read_request(connection: socket.socket) -> None:
    """Read the whole request: closing with unread bytes resets the connection, and the response may be lost."""
    with connection.makefile("rb") as file:
        length = 0
        while (line := file.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        file.read(length)


def respond(response: bytes) -> "Behave":
    def behave(connection: socket.socket, _: threading.Event) -> None:
        read_request(connection)
        connection.sendall(response)

    return behave


def never_respond(connection: socket.socket, released: threading.Event) -> None:
    read_request(connection)
    released.wait()


def never_read(_: socket.socket, released: threading.Event) -> None:
    released.wait()


def drip(response: bytes) -> "Behave":
    def behave(connection: socket.socket, released: threading.Event) -> None:
        read_request(connection)
        for byte in response:
            if released.wait(0.02):
                return
            connection.send(bytes([byte]))

    return behave


def continue_forever(connection: socket.socket, released: threading.Event) -> None:
    read_request(connection)
    while not released.wait(0.02):  # Python 3.14 gives up after 100 of them
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def reset(connection: socket.socket, _: threading.Event) -> None:
    read_request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def close_immediately(_: socket.socket, __: threading.Event) -> None:
    pass


@pytest.mark.parametrize(
    "behave",
    [
        never_respond,
        never_read,
        drip(OK + b"X: " + b"a" * 10_000),
        drip(OK + b"Content-Length: 10000\r\n\r\n" + b" " * 10_000),
        drip(OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 10_000),
        continue_forever,
    ],
    ids=["never responds", "never reads", "drips its head", "drips its body", "drips chunks", "never ends"],
)
def test_the_deadline_covers_the_whole_request_whatever_the_server_does(
    hostile: "Callable[[Behave], Hostile]", behave: "Behave"
) -> None:
    began = time.monotonic()
    assert post(hostile(behave).endpoint, PACKED, deadline_s=DEADLINE_S) == Response(error="timeout")
    assert DEADLINE_S <= time.monotonic() - began < DEADLINE_S + SLACK_S


def test_the_deadline_covers_a_resolver_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving, released = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> None:
        resolving.set()
        released.wait()
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    before = set(threading.enumerate())
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    assert post(Endpoint("https://a.example/v1/logs", "a test"), PACKED, deadline_s=DEADLINE_S) == Response(
        error="timeout"
    )
    assert resolving.is_set()
    released.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(SLACK_S)


def test_an_unknown_host_name_is_a_response_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert post(Endpoint("https://a.example/v1/logs", "a test"), PACKED) == Response(error=causes.UNKNOWN_HOST)


def test_a_refused_connection_is_a_response_with_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert post(Endpoint(f"http://127.0.0.1:{port}/v1/logs", "a test"), PACKED) == Response(error=causes.REFUSED)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1\x00/v1/logs",
        "http://.:1/v1/logs",
        "http://[::1/v1/logs",
        "gopher://a.example/v1/logs",
        f"http://{'a' * 70}.example/v1/logs",
        "",
    ],
)
def test_a_url_that_requests_cannot_handle_is_a_response_with_an_error(url: str) -> None:
    response = post(Endpoint(url, "a test"), PACKED)
    assert response.status is None
    assert classify(response, now=0).kind == RETRY


@pytest.mark.parametrize(
    ("behave", "error"),
    [
        (close_immediately, "no connection"),
        (reset, "no connection"),
        (respond(b""), "no connection"),
        (respond(b"SSH-2.0-OpenSSH_9.6\r\n"), "no connection"),
        (respond(b"\x00\xff" * 5_000), "no connection"),
        (respond(b"HTTP/1.1 abc\r\n\r\n"), "no connection"),
        (respond(OK + b"X: 1\r\n" * 1_000 + b"\r\n"), "no connection"),
        (respond(OK + b"X: " + b"a" * 100_000 + b"\r\n\r\n"), "no connection"),
        (respond(OK + b"Content-Length: 20\r\n\r\n{}"), causes.CUT_SHORT),
        (respond(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}"), causes.CUT_SHORT),
        (respond(OK + b"Transfer-Encoding: chunked\r\n\r\n10\r\n{}"), causes.CUT_SHORT),
        (respond(OK + b"\r\n" + b" " * (MAX_RESPONSE_BYTES + 1)), causes.TOO_LONG),
        (respond(OK + b"Content-Length: 9999999999\r\n\r\n" + b" " * 200_000), causes.TOO_LONG),
    ],
    ids=[
        "closes", "resets", "sends nothing", "is not HTTP", "is noise", "has no status", "has too many headers",
        "has a header too long", "has a wrong length", "has wrong chunks", "cuts a chunk", "never ends", "is huge",
    ],
)  # fmt: skip
def test_a_broken_response_is_an_error_with_a_phrase_of_causes(
    hostile: "Callable[[Behave], Hostile]", behave: "Behave", error: str
) -> None:
    response = post(hostile(behave).endpoint, PACKED, deadline_s=20)
    assert response == Response(error=error)
    assert classify(response, now=0).kind == RETRY


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (OK + b"Content-Length: 2\r\n\r\n{}", DELIVERED),
        (OK + b"Content-Length: 2\r\n\r\n{} and more", DELIVERED),
        (OK + b"\r\n{}", DELIVERED),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", DELIVERED),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\n{}", DELIVERED),
        (OK + b"\r\n" + b" " * (MAX_RESPONSE_BYTES - 2) + b"{}", DELIVERED),
        (OK + b"Content-Type: text/html\r\n\r\n<html>Log in</html>", RETRY),
        (OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"{}", mtime=0), RETRY),
        (OK + b"Content-Encoding: gzip\r\n\r\nnot gzip", RETRY),
        (b"HTTP/1.1 204 No Content\r\n\r\n", RETRY),
        (b"HTTP/1.1 413 \xc3\xa9\xff\r\n\r\n", PARKED),
        (b"HTTP/1.1 999 What\r\n\r\n", PARKED),
    ],
)
def test_an_unusual_response_is_classified_by_its_bytes(
    hostile: "Callable[[Behave], Hostile]", content: bytes, kind: str
) -> None:
    response = post(hostile(respond(content)).endpoint, PACKED, deadline_s=20)
    assert response.error is None
    assert classify(response, now=0).kind == kind


def test_a_compressed_response_is_not_decompressed(hostile: "Callable[[Behave], Hostile]") -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    response = post(hostile(respond(OK + b"Content-Encoding: gzip\r\n\r\n" + bomb)).endpoint, PACKED, deadline_s=20)
    assert response.body == bomb


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(receiver: "Receiver", status: int) -> None:
    receiver.answer = lambda _: Response(status, {"Location": receiver.endpoint.url + "/elsewhere"}, b"{}")
    assert post(receiver.endpoint, PACKED).status == status
    assert [(request.method, request.path) for request in receiver.requests] == [("POST", "/v1/logs")]


def test_the_given_gzip_is_sent_with_the_headers_of_otlp(receiver: "Receiver") -> None:
    endpoint = Endpoint(receiver.endpoint.url, "a test", {"Authorization": "Bearer x", "content-type": "text/html"})
    response = post(endpoint, PACKED)
    assert (response.status, response.body, response.error) == (200, b"{}", None)
    assert set(response.headers) == {"date", "server", "content-length"}
    (sent,) = receiver.requests
    assert sent.body == PACKED
    assert sent.headers.pop("user-agent").startswith("deepchecks-telemetry/")
    assert sent.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "authorization": "Bearer x",
        "content-type": "application/json",
        "content-encoding": "gzip",
        "content-length": str(len(PACKED)),
        "accept-encoding": "identity",
        "accept": "*/*",
        "connection": "keep-alive",
    }


def test_a_password_in_netrc_is_not_sent(receiver: "Receiver", monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path(os.environ["HOME"])
    home.mkdir(parents=True, exist_ok=True)
    for name in (".netrc", "_netrc"):
        (home / name).write_text(f"machine 127.0.0.1 login me password {PASSWORD}\n")
        (home / name).chmod(0o600)
    monkeypatch.setenv("NETRC", str(home / ".netrc"))
    post(receiver.endpoint, PACKED)
    assert "authorization" not in receiver.requests[0].headers


def test_no_cookie_is_kept(receiver: "Receiver") -> None:
    receiver.answer = lambda _: Response(200, {"Set-Cookie": "id=1; Path=/"}, b"{}")
    for _ in range(2):
        post(receiver.endpoint, PACKED)
    assert ["cookie" in request.headers for request in receiver.requests] == [False, False]


def test_the_environments_proxy_is_used_with_its_password(
    receiver: "Receiver", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://me:{PASSWORD}@127.0.0.1:{receiver.port}")
    monkeypatch.setenv("http_proxy", f"http://me:{PASSWORD}@127.0.0.1:{receiver.port}")
    response = post(Endpoint("http://collector.internal/v1/logs", "a test"), PACKED)
    assert response.status == 200
    (sent,) = receiver.requests  # the client did not resolve the name
    assert (sent.method, sent.path) == ("POST", "http://collector.internal/v1/logs")
    assert sent.headers["proxy-authorization"].startswith("Basic ")
    assert sent.body == PACKED


def test_the_error_of_a_refusing_proxy_does_not_contain_its_password(
    receiver: "Receiver", monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answer = lambda _: Response(407, {"Proxy-Authenticate": "Basic"}, b"")
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://me:{PASSWORD}@127.0.0.1:{receiver.port}")
    response = post(Endpoint("https://collector.internal/v1/logs", "a test"), PACKED)
    assert response == Response(error=causes.PROXY)
    assert [request.method for request in receiver.requests] == ["CONNECT"]


def test_a_server_without_tls_gets_no_body_over_https(hostile: "Callable[[Behave], Hostile]") -> None:
    received: list[bytes] = []

    def without_tls(connection: socket.socket, _: threading.Event) -> None:
        received.append(connection.recv(65_536))
        connection.sendall(OK + b"Content-Length: 2\r\n\r\n{}")

    server = hostile(without_tls)
    response = post(Endpoint(server.endpoint.url.replace("http://", "https://"), "a test"), PACKED, deadline_s=20)
    assert response == Response(error=causes.NO_TLS)
    assert PACKED not in b"".join(received)
