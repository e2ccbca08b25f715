"""Which URLs may be sent to, and how they are written; an invalid one is not printed: it may hold a password."""

import ipaddress
import re
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from deepchecks_telemetry.uploader.errors import BadEndpoint

LOGS_PATH = "/v1/logs"
LONGEST = 2_000  # characters of a URL; what is cut off at the end of a file that is too long would be another one
# Written like this, a host is the same to every parser: `[::1].evil.example` is ::1 to some parsers, and not to others.
PLACE = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
# Not `is_private`, which means something else in each Python, and in all of them more than networks of one's own.
NEAR = tuple(map(ipaddress.ip_network, "127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 ::1/128 fc00::/7".split()))


def parse(text: str, *, allow_http: bool = False) -> str:
    """The URL to post to for a base URL; `BadEndpoint` says what is wrong, without repeating the text."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise BadEndpoint("invalid endpoint: it contains a space, a control or a non-ASCII character")
    if len(text) > LONGEST:
        raise BadEndpoint(f"invalid endpoint: longer than {LONGEST} characters")
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
        if "[" in url.netloc:
            ipaddress.IPv6Address(host or "")  # not checked by urlsplit before Python 3.11
    except ValueError:
        raise BadEndpoint("invalid endpoint: not a URL") from None
    _check_parts(url)
    if url.scheme == "file" and not url.netloc and url.path.startswith("/") and url.path.strip("/"):
        return "file:///" + url.path.strip("/")  # urlunsplit() of older Pythons takes a path of `//a` for a host
    if url.scheme not in {"https", "http"} or not host or not PLACE.fullmatch(url.netloc):
        raise BadEndpoint("invalid endpoint: expected https://HOST, http://HOST or file:///DIR")
    if url.scheme == "http" and not allow_http and not _is_near(host):
        raise BadEndpoint("invalid endpoint: http:// outside loopback and private networks needs --allow-http")
    path = url.path.rstrip("/")
    return urlunsplit((url.scheme, url.netloc, path if path.endswith(LOGS_PATH) else path + LOGS_PATH, "", ""))


def _check_parts(url: SplitResult) -> None:
    if "@" in url.netloc:
        raise BadEndpoint("invalid endpoint: it contains a user name or password; use --headers FILE")
    if url.query or url.fragment:
        raise BadEndpoint("invalid endpoint: it contains a query or a fragment")
    if not unquote(url.path).isprintable():
        raise BadEndpoint("invalid endpoint: its path contains a control character")


def _is_near(host: str) -> bool:
    """Whether a host is this machine or on a private network by its address; any other name may be anyone's."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in NEAR)
