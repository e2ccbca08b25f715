"""Each failure of a request has a phrase and a remedy, and never the text of a server or a library."""

import gzip
import os
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.conftest import IS_WINE

from deepchecks_telemetry.spool.batches.queue import DAMAGED
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.wire import causes
from deepchecks_telemetry.uploader.wire.causes import DEFAULT_REMEDY, HTTP, REMEDIES, http_reason, remedy_for
from deepchecks_telemetry.uploader.wire.http import post
from deepchecks_telemetry.uploader.wire.outcome import DELIVERED, Response, classify

if TYPE_CHECKING:
    from tests.uploader.conftest import Receiver

PACKED = gzip.compress(b'{"resourceLogs":[]}', mtime=0)
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def no_bundle_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in BUNDLES:
        monkeypatch.delenv(name, raising=False)


def error_of(url: str) -> str | None:
    return post(Endpoint(f"{url}/v1/logs", "a test"), PACKED).error


def test_a_port_on_which_nothing_listens_is_reported_as_refused() -> None:
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        assert error_of(f"http://127.0.0.1:{taken.getsockname()[1]}") == causes.REFUSED


def test_an_unknown_host_name_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert error_of("https://collector.example") == causes.UNKNOWN_HOST


def test_a_socks_proxy_without_pysocks_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "socks5://me:hunter2@127.0.0.1:9")
    assert error_of("https://collector.example") == causes.NO_SOCKS
    assert "pip install PySocks" in remedy_for(causes.NO_SOCKS)


@pytest.mark.parametrize("variable", BUNDLES[:2])
@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_ca_file_that_is_missing_or_has_no_certificate_is_reported(
    variable: str, content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receiver: "Receiver"
) -> None:
    bundle = tmp_path / "authority.pem"
    if content is not None:
        bundle.write_bytes(content)
    monkeypatch.setenv(variable, str(bundle))
    assert error_of(f"https://127.0.0.1:{receiver.port}") == causes.NO_CA_FILE
    assert variable in remedy_for(causes.NO_CA_FILE)
    assert error_of(f"http://127.0.0.1:{receiver.port}") is None  # http needs no certificates


@pytest.mark.skipif(IS_WINE, reason="Wine 8 lacks bcryptprimitives.dll, which cryptography loads")
def test_a_certificate_of_an_unknown_authority_is_reported(receiver: "Receiver") -> None:
    import trustme

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = receiver._server
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    assert error_of(f"https://127.0.0.1:{receiver.port}") == causes.UNTRUSTED
    assert receiver.requests == []


@pytest.mark.parametrize("status", sorted(set(HTTP) - {400}))
def test_each_status_has_its_own_remedy(status: int, receiver: "Receiver") -> None:
    receiver.answer = lambda _: Response(status, {}, b"{}")
    outcome = classify(post(receiver.endpoint, PACKED), now=0)
    assert outcome.kind != DELIVERED
    assert outcome.reason == f"HTTP {status}: {HTTP[status][0]}"
    assert remedy_for(outcome.reason) == HTTP[status][1] != DEFAULT_REMEDY


def test_ten_different_failures_have_ten_different_remedies() -> None:
    reasons = [http_reason(status) for status in (302, 401, 403, 404, 413)]
    reasons += [causes.UNKNOWN_HOST, causes.REFUSED, causes.UNTRUSTED, causes.NO_SOCKS, causes.NO_CA_FILE]
    assert len({remedy_for(reason) for reason in reasons}) == len(reasons)


@pytest.mark.parametrize(
    "reason", ["", "HTTP ", "HTTP 299", "HTTP 99999999999999999999: x", "\x1b[2J", "HTTP ²", "told"]
)
def test_an_unknown_phrase_has_the_default_remedy(reason: str) -> None:
    assert remedy_for(reason) == DEFAULT_REMEDY


def test_every_phrase_has_a_remedy_and_is_printable() -> None:
    phrases = [value for name, value in vars(causes).items() if name.isupper() and isinstance(value, str)]
    assert set(REMEDIES) <= {*phrases, DAMAGED}
    assert all(phrase.isascii() and phrase.isprintable() for phrase in phrases)
    assert os.linesep not in "".join(REMEDIES.values())
