"""An ambiguous URL, a redirect or a lying resolver never makes a request go to another machine.

Only the resolver, `socket.getaddrinfo`, is replaced, because no test may query a real one.
"""

import gzip
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import trustme

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.ledger import batches
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.uploader.endpoint import Endpoint, find_endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint
from deepchecks_telemetry.uploader.flush import flush
from deepchecks_telemetry.uploader.setting import VARIABLE
from deepchecks_telemetry.uploader.wire import causes
from deepchecks_telemetry.uploader.wire.http import post
from deepchecks_telemetry.uploader.wire.url import MAX_CHARACTERS, parse

from .network import LATER, Listener, listening

PACKED = gzip.compress(b'{"resourceLogs":[]}', mtime=0)
TOKEN = {"X-Token": "hush-hush"}

# In addition to those of tests/uploader/test_endpoint.py.
LOOKS_NEAR = [
    *("http://127.0.0.1.evil.example", "http://localhost.evil.example", "http://localhost.", "http://127.0.0.1."),
    *("http://0x7f.1", "http://0x7f000001", "http://2130706433", "http://127.1", "http://0177.0.0.1"),
    *("http://metadata", "http://169.254.169.254", "http://[fe80::1]", "http://[::ffff:169.254.1.1]"),
    *("http://0.0.0.0", "http://100.64.0.1", "http://192.0.0.1", "http://198.18.0.1", "http://203.0.113.1"),
    *("http://255.255.255.255", "http://[2001::1]", "http://[64:ff9b::a00:1]", "http://[2002:a00:1::]"),
]
TWO_WAYS_TO_READ = [
    *("http://[::1].evil.example", "http://evil.example[::1]", "http://[::1]evil.example:80", "http://[::1%25eth0]"),
    *("http://127.0.0.1\\.evil.example", "http://127.0.0.1%2f.evil.example", "http://127.0.0.1;evil.example"),
    *("https://a.example\\evil.example", "https://a.example;b", "https://a.example,b.example", "https://ex%61mple"),
    *("https://a.example:80:90", "https://a.example:", "https://a.example:+80", "https://a.example:٤٤"),
    *("https://\u0430pple.example", "https://a。example", "https://a.example/\u202e", "https://<b>.example"),
]
OTHER_SCHEMES = [
    *("ftp://127.0.0.1", "gopher://127.0.0.1", "data:text/plain,x", "dict://127.0.0.1:1", "unix:///run/docker.sock"),
    *(
        "http+unix://%2Frun%2Fdocker.sock",
        "ws://127.0.0.1",
        "file://127.0.0.1/srv",
        "jar:file:///srv!/x",
        "file:../srv",
    ),
]
HIDDEN = [
    *("file:///srv/%00", "file:///srv/%1b[2J", "file:///srv/%0ax", "https://a.example/%0d%0aX-Injected:1"),
    *("https://a.example/%00", "https://a.example/%7f", f"https://a.example/{'a' * MAX_CHARACTERS}"),
]


@pytest.mark.parametrize("text", [*LOOKS_NEAR, *TWO_WAYS_TO_READ, *OTHER_SCHEMES, *HIDDEN], ids=ascii)
def test_an_ambiguous_url_is_not_an_endpoint(text: str) -> None:
    with pytest.raises(BadEndpoint) as caught:
        parse(text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("text", [*TWO_WAYS_TO_READ, *OTHER_SCHEMES, *HIDDEN], ids=ascii)
def test_allowing_http_allows_nothing_else(text: str) -> None:
    with pytest.raises(BadEndpoint):
        parse(text, allow_http=True)


@pytest.mark.parametrize("text", ["\ufeffhttps://a.example", "https://a.example\x00", "https://a.example\x1b[2J"])
def test_an_error_does_not_repeat_a_hostile_variable(text: str, home: Path) -> None:
    with pytest.raises(BadEndpoint, match=VARIABLE) as caught:
        find_endpoint(find_home(), None, {VARIABLE: text})
    assert str(caught.value).isprintable()


@pytest.fixture
def elsewhere() -> Iterator[Listener]:
    with listening() as server:
        yield server


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "where",
    ["{url}/v1/logs", "//127.0.0.1:{port}/", "file:///etc/passwd", "http://169.254.169.254/latest/", "gopher://x"],
)
def test_a_redirect_sends_neither_counts_nor_token(elsewhere: Listener, status: int, where: str) -> None:
    with listening() as server:
        location = where.format(url=elsewhere.url, port=elsewhere.port).encode()
        server.answer = b"HTTP/1.1 %d Go\r\nLocation: %s\r\nContent-Length: 2\r\n\r\n{}" % (status, location)
        assert post(Endpoint(f"{server.url}/v1/logs", "a test", TOKEN), PACKED).status == status
        assert (len(server.requests), b"hush-hush" in server.requests[0]) == (1, True)
    assert elsewhere.requests == []


Resolve = Callable[[str], None]


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Make every name resolve to this address, from now on."""

    def to(address: str) -> None:
        def answer(_: str, port: Any, *__: object, **___: object) -> list[tuple[object, ...]]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        monkeypatch.setattr(socket, "getaddrinfo", answer)

    return to


def context_for(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("collector.example").configure_cert(context)
    return context


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is no address of this machine")
def test_a_rebound_name_gets_nothing_without_a_valid_certificate(
    home: Path, resolve: Resolve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    our_ca, their_ca = trustme.CA(), trustme.CA()
    our_ca.cert_pem.write_to_path(str(tmp_path / "our_ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "our_ca.pem"))
    assert record("run-check")
    spool = find_home()
    with listening(context=context_for(our_ca)) as server:
        endpoint = Endpoint(f"https://collector.example:{server.port}/v1/logs", "a test", TOKEN)
        with listening("127.0.0.2", server.port, context_for(their_ca)) as attacker:
            server.answer = LATER
            assert send_again(spool, endpoint, resolve, "127.0.0.1") == ["HTTP 503: the receiver is not available"]
            assert send_again(spool, endpoint, resolve, "127.0.0.2") == [causes.UNTRUSTED]
            assert attacker.requests == []
        server.answer = Listener.answer
        assert send_again(spool, endpoint, resolve, "127.0.0.1") == ["delivered"]
    assert [batch.attempts for batch in batches(spool)] == [3]


def send_again(spool: Home, endpoint: Endpoint, resolve: Resolve, address: str) -> list[str]:
    resolve(address)
    return [sent.outcome.reason for sent in flush(spool, endpoint)]


# In a network namespace, in which this machine has an address that is not loopback.
ELSEWHERE = """
import gzip, socket, sys
sys.path.insert(0, sys.argv[1])
from network import listening
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.wire.http import post
def resolve(name, port, *_, **__):
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (meant, port))]
with listening("0.0.0.0") as server:
    socket.getaddrinfo = resolve
    for meant in ("203.0.113.7", "127.0.0.1"):
        answer = post(Endpoint(f"http://localhost:{server.port}/v1/logs", "a test"), gzip.compress(b"{}"))
        print(meant, answer.status, answer.error, len([request for request in server.requests if request]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no namespaces")
def test_localhost_is_never_another_machine(tool: Callable[[str], str]) -> None:
    setup = f"{tool('ip')} link set lo up && {tool('ip')} addr add 203.0.113.7/32 dev lo && exec"
    apart = [tool("unshare"), "--net", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c", f'{setup} "$@"']
    if subprocess.run([*apart, "sh", "true"], capture_output=True, timeout=60).returncode:
        pytest.skip("this system does not allow a network namespace")
    command = [*apart, "sh", sys.executable, "-c", ELSEWHERE, str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == (
        "203.0.113.7 None localhost does not resolve to this machine 0\n127.0.0.1 200 None 1\n",
        "",
    )


def test_an_expired_certificate_gets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    ended = datetime.now(timezone.utc) - timedelta(days=1)
    authority.issue_cert("127.0.0.1", not_after=ended).configure_cert(context)
    with listening(context=context) as server:
        answer = post(Endpoint(f"https://127.0.0.1:{server.port}/v1/logs", "a test", TOKEN), PACKED)
        assert (answer.error, server.requests) == (causes.EXPIRED, [])
