"""Where to send, and who said so: the administrator, the environment, the user, or deepchecks itself, in this order.

There is no built-in endpoint: with none configured nothing leaves the machine. A URL and its headers stand in one file,
so that nobody ever reads one receiver's token with another's URL.
"""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from deepchecks_telemetry.spool.choice import write_private
from deepchecks_telemetry.spool.consent import CHOICE, POLICY
from deepchecks_telemetry.spool.paths import Home
from deepchecks_telemetry.spool.plain import read_plain
from deepchecks_telemetry.uploader.errors import BadEndpoint

VARIABLE = "DEEPCHECKS_TELEMETRY_ENDPOINT"
ATTACHED = "deepchecks itself"
LOGS_PATH = "/v1/logs"
ALLOW_HTTP = "allow-http"  # the second word of an endpoint file: http:// beyond private networks is wanted
LONGEST = 2_000  # letters of a URL; what is cut off at the end of a file that is too long would be another one
# Written so, a host is the same to whoever reads it: `[::1].evil.example` is ::1 to some parsers, and not to others.
PLACE = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
# Not `is_private`, which means something else in each Python, and in all of them more than networks of one's own.
NEAR = tuple(map(ipaddress.ip_network, "127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 ::1/128 fc00::/7".split()))
# A gateway reads by these where a request ends, whom it is for and what its body is: they are the client's own.
FRAMING = frozenset(
    "accept-encoding connection content-encoding content-length content-type expect host keep-alive proxy-connection "
    "te trailer transfer-encoding upgrade".split()
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The URL that is posted to, the source that named it, and headers for a gateway (never shown anywhere)."""

    url: str
    source: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def folder(self) -> str | None:
        """The folder of a `file:///folder`, into which batches are exported; None for a receiver."""
        if not self.url.startswith("file:"):
            return None
        path = unquote(urlsplit(self.url).path)
        return path.lstrip("/") if os.name == "nt" else path


def find_endpoint(home: Home, attached: str | None = None, environ: Mapping[str, str] = os.environ) -> Endpoint | None:
    """The endpoint in force, None where there is none; raises `BadEndpoint` naming the source of a wrong one."""
    sources: tuple[tuple[str, Callable[[], str | None]], ...] = (
        (POLICY, lambda: _read(home.policy)),
        (VARIABLE, lambda: environ.get(VARIABLE)),
        (CHOICE, lambda: _read(home.config)),
        (ATTACHED, lambda: attached if attached is None else str(attached)),  # from a file that can hold bytes anywhere
    )
    try:
        for source, read in sources:
            first, _, rest = (read() or "").partition("\n")
            if words := first.split():
                return Endpoint(_parse_words(words), source, read_headers(rest))
    except BadEndpoint as error:
        raise BadEndpoint(f"{error} (it comes from {source})") from None
    return None


def configure(home: Home, url: str, *, allow_http: bool = False, headers: Mapping[str, str] | None = None) -> str:
    """Keep the user's endpoint and its headers beside the choice (0600), and return the URL that will be posted to."""
    parsed = parse(url, allow_http=allow_http)
    lines = [f"{url} {ALLOW_HTTP}" if allow_http else url]
    for name, value in (headers or {}).items():
        _check_header(name, value)
        lines.append(f"{name}: {value}")
    write_private(os.path.join(home.config, "endpoint"), "\n".join(lines) + "\n")
    return parsed


def parse(text: str, *, allow_http: bool = False) -> str:
    """The URL to post to for a base URL; `BadEndpoint` says what is wrong, without repeating the text."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise BadEndpoint("the endpoint holds a blank, a control character or a letter that is not ASCII")
    if len(text) > LONGEST:
        raise BadEndpoint(f"the endpoint is longer than {LONGEST} letters")
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
        if "[" in url.netloc:
            ipaddress.IPv6Address(host or "")  # not checked by urlsplit before Python 3.11
    except ValueError:
        raise BadEndpoint("the endpoint is no URL") from None
    _check_parts(url)
    if url.scheme == "file" and not url.netloc and url.path.startswith("/") and url.path.strip("/"):
        return "file:///" + url.path.strip("/")  # urlunsplit() of older Pythons takes a path of `//a` for a host
    if url.scheme not in {"https", "http"} or not host or not PLACE.fullmatch(url.netloc):
        raise BadEndpoint("the endpoint is no URL that begins with https://, http:// or file:///")
    if url.scheme == "http" and not allow_http and not _is_near(host):
        raise BadEndpoint("the endpoint is http:// and not on this machine or a private network")
    path = url.path.rstrip("/")
    return urlunsplit((url.scheme, url.netloc, path if path.endswith(LOGS_PATH) else path + LOGS_PATH, "", ""))


def _check_parts(url: SplitResult) -> None:
    if "@" in url.netloc:
        raise BadEndpoint("the endpoint holds a user name or password; give a token as a header instead")
    if url.query or url.fragment:
        raise BadEndpoint("the endpoint holds a query or a fragment")
    if not unquote(url.path).isprintable():
        raise BadEndpoint("the endpoint's path holds a control character")


def _is_near(host: str) -> bool:
    """Whether a host is this machine or on a private network by its address; any other name may be anybody's."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in NEAR)


def _parse_words(words: list[str]) -> str:
    url, *rest = words
    if rest not in ([], [ALLOW_HTTP]):
        raise BadEndpoint("the endpoint holds more than one URL or word")
    return parse(url, allow_http=bool(rest))


def _read(folder: str) -> str | None:
    try:
        return read_plain(os.path.join(folder, "endpoint"), 65536).decode("utf-8", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        raise BadEndpoint("the file with the endpoint cannot be read") from None


def read_headers(text: str) -> dict[str, str]:
    """The headers in lines of `NAME: VALUE`."""
    lines = [line.partition(":") for line in text.splitlines() if line.strip()]
    headers = {name.strip(): value.strip() for name, _, value in lines}
    for name, value in headers.items():
        _check_header(name, value)
    return headers


def _check_header(name: str, value: str) -> None:
    token = name.replace("-", "").replace("_", "")
    if not (token.isascii() and token.isalnum()) or not (value.isascii() and value.isprintable()):
        raise BadEndpoint("a header's name or value holds what no HTTP header may")
    if name.lower() in FRAMING:
        raise BadEndpoint(f"the header {name} is the request's own and cannot be set")
