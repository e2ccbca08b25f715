"""Real networks: private certificate authorities, proxies with passwords, IPv6, gateways without gzip."""

import gzip
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import ON
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.uploader import background
from deepchecks_telemetry.uploader.endpoint import Endpoint, configure
from deepchecks_telemetry.uploader.flush import flush, seal_next
from deepchecks_telemetry.uploader.wire import causes
from deepchecks_telemetry.uploader.wire.http import post
from deepchecks_telemetry.uploader.wire.outcome import DELIVERED, PARKED, RETRY, Response, classify

if TYPE_CHECKING:
    from http.server import ThreadingHTTPServer

    from tests.uploader.conftest import Receiver

PACKED = gzip.compress(b'{"resourceLogs":[]}', mtime=0)
PASSWORD = "hunter2"
PATIENCE_S = 30


@pytest.fixture(autouse=True)
def no_bundle_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(receiver: "Receiver", authority: trustme.CA) -> Endpoint:
    """The receiver behind TLS, with a certificate of a private authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost", "::1").configure_cert(context)
    server: ThreadingHTTPServer = receiver._server
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # a refused handshake is expected
    return Endpoint(f"https://127.0.0.1:{receiver.port}/v1/logs", "a test")


def trust(authority: trustme.CA, variable: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv(variable, str(bundle))


# OpenSSL uses SSL_CERT_FILE as the system's trust store.
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_private_authority_is_trusted_if_the_system_or_requests_lists_it(
    receiver: "Receiver",
    secure: Endpoint,
    authority: trustme.CA,
    variable: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trust(authority, variable, tmp_path, monkeypatch)
    assert post(secure, PACKED).status == 200
    assert receiver.bodies() == [PACKED]


@pytest.mark.parametrize(
    ("variable", "host"),
    [(None, "127.0.0.1"), ("REQUESTS_CA_BUNDLE", "127.0.0.1"), ("SSL_CERT_FILE", "127.0.0.1")],
)
def test_nothing_is_sent_to_a_server_with_a_certificate_of_another_authority(
    receiver: "Receiver",
    secure: Endpoint,
    variable: str | None,
    host: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if variable:
        trust(trustme.CA(), variable, tmp_path, monkeypatch)
    response = post(secure, PACKED)
    assert response == Response(error=causes.UNTRUSTED)
    assert classify(response, now=0).kind == RETRY
    assert receiver.requests == []


def test_nothing_is_sent_to_a_server_with_a_certificate_for_another_host(
    receiver: "Receiver", authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("collector.example").configure_cert(context)
    server: ThreadingHTTPServer = receiver._server
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    trust(authority, "REQUESTS_CA_BUNDLE", tmp_path, monkeypatch)
    response = post(Endpoint(f"https://127.0.0.1:{receiver.port}/v1/logs", "a test"), PACKED)
    assert response == Response(error=causes.OTHER_HOST)
    assert receiver.requests == []


def test_a_configured_bundle_replaces_the_system_store(
    receiver: "Receiver", secure: Endpoint, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(authority, "SSL_CERT_FILE", tmp_path, monkeypatch)
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    assert post(secure, PACKED).error == causes.UNTRUSTED
    assert receiver.requests == []


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[int]:
    """The port of a real proxy that requires a password."""
    port_file = tmp_path / "port"
    command = [sys.executable, "-m", "proxy", "--hostname", "127.0.0.1", "--port", "0", "--port-file", str(port_file)]
    command += ["--basic-auth", f"me:{PASSWORD}", "--num-workers", "1", "--num-acceptors", "1", "--log-level", "e"]
    with (tmp_path / "proxy.out").open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=out, cwd=tmp_path)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not (port_file.exists() and port_file.read_text().strip()):
            assert child.poll() is None, (tmp_path / "proxy.out").read_text()
            assert time.monotonic() < deadline
            threading.Event().wait(0.02)
        yield int(port_file.read_text())
    finally:
        child.terminate()
        child.wait(PATIENCE_S)


def use_proxy(proxy: int, password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://me:{password}@127.0.0.1:{proxy}")


@pytest.mark.skipif(sys.platform == "win32", reason="the proxy of this test is for POSIX")
def test_requests_pass_a_proxy_with_a_password_with_and_without_tls(
    receiver: "Receiver",
    proxy: int,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    use_proxy(proxy, PASSWORD, monkeypatch)
    assert post(receiver.endpoint, PACKED).status == 200
    assert "proxy-authorization" not in receiver.requests[0].headers
    secure = request.getfixturevalue("secure")
    assert post(secure, PACKED).error == causes.UNTRUSTED
    trust(authority, "SSL_CERT_FILE", tmp_path, monkeypatch)
    assert post(secure, PACKED).status == 200
    assert receiver.bodies() == [PACKED, PACKED]


@pytest.mark.skipif(sys.platform == "win32", reason="the proxy of this test is for POSIX")
def test_if_a_proxy_refuses_the_password_everything_is_kept(
    receiver: "Receiver", proxy: int, spool: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_proxy(proxy, "wrong", monkeypatch)
    (sent,) = flush(spool, receiver.endpoint)
    assert (sent.outcome.kind, sent.outcome.reason) == (RETRY, "HTTP 407: the proxy requires credentials")
    response = post(Endpoint(f"https://127.0.0.1:{receiver.port}/v1/logs", "a test"), PACKED)
    assert response == Response(error=causes.PROXY)
    assert receiver.requests == []
    with opened(spool) as connection:
        assert PASSWORD not in "".join(connection.iterdump())
        assert "wrong" not in "".join(connection.iterdump())


def test_an_ipv6_endpoint_works(spool: Home, receiver: "Receiver") -> None:
    try:
        six = type(receiver)("::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with six.running():
        endpoint = Endpoint(configure(spool, f"http://[::1]:{six.port}"), "a test")
        assert [sent.outcome.kind for sent in flush(spool, endpoint)] == [DELIVERED]
    assert len(six.requests) == 1


def test_a_receiver_without_gzip_gets_the_body_again_uncompressed(spool: Home, receiver: "Receiver") -> None:
    batch = seal_next(spool)
    assert batch is not None
    receiver.answer = lambda request: Response(415 if "content-encoding" in request.headers else 200, {}, b"{}")
    (sent,) = flush(spool, receiver.endpoint)
    assert sent.outcome.kind == DELIVERED
    assert receiver.bodies() == [batch.packed, batch.body]
    assert [request.headers.get("content-encoding") for request in receiver.requests] == ["gzip", None]


def test_a_receiver_that_also_refuses_json_gets_only_two_requests(spool: Home, receiver: "Receiver") -> None:
    receiver.answer = lambda _: Response(415, {}, b"")
    (sent,) = flush(spool, receiver.endpoint)
    assert (sent.outcome.kind, len(receiver.requests)) == (PARKED, 2)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_a_gateways_token_is_in_no_process_list(
    spool: Home, receiver: "Receiver", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command line and environment is read while the child waits for its response."""
    seen: list[bytes] = []

    def read_processes(_: object) -> Response:
        for folder in Path("/proc").iterdir():
            for name in ("cmdline", "environ"):
                try:
                    seen.append((folder / name).read_bytes())
                except OSError:
                    continue
        return Response(200, {}, b"{}")

    receiver.answer = read_processes
    choose(spool, ON)
    configure(spool, receiver.endpoint.url, headers={"X-Token": "hush-hush"})
    with opened(spool) as connection:
        connection.execute("UPDATE spool SET next_upload = 0")
    background.upload_if_due()
    assert receiver.arrived.get(timeout=PATIENCE_S).headers["x-token"] == "hush-hush"
    wait_until(lambda: read_accounts(spool).delivered == 3)
    assert any(b"deepchecks_telemetry.uploader" in line for line in seen)
    assert not any(b"hush-hush" in line for line in seen)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
