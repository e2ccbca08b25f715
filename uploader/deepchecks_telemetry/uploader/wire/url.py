"""Checks which URLs are valid endpoints; an invalid one is never printed, because it may contain a password."""

import ipaddress
import os
import re
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from deepchecks_telemetry.uploader.errors import BadEndpoint

LOGS_PATH = "/v1/logs"
MAX_CHARACTERS = 2_000  # of a URL; far less than is read of an endpoint file, so that no truncated URL is accepted
# Every parser finds the same host in this form. Of `[::1].evil.example`, some parsers take ::1 as the host.
HOST_PORT = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
DRIVE = re.compile("/[A-Za-z]:/")  # at the beginning of the path of a file URL on Windows
# Not `is_private`, which differs between versions of Python and in all of them includes more than private networks.
PRIVATE_NETWORKS = tuple(
    map(ipaddress.ip_network, "127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 ::1/128 fc00::/7".split())
)


def parse(text: str, *, allow_http: bool = False) -> str:
    """The URL to post to for a base URL; raises `BadEndpoint`, whose text does not repeat the URL."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise BadEndpoint("invalid endpoint: it contains a space, a control or a non-ASCII character")
    if len(text) > MAX_CHARACTERS:
        raise BadEndpoint(f"invalid endpoint: longer than {MAX_CHARACTERS} characters")
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
        if "[" in url.netloc:
            ipaddress.IPv6Address(host or "")  # not checked by urlsplit before Python 3.11
    except ValueError:
        raise BadEndpoint("invalid endpoint: not a URL") from None
    _check_parts(url)
    if url.scheme == "file" and not url.netloc and url.path.startswith("/") and url.path.strip("/"):
        if os.name == "nt" and not DRIVE.match(url.path):  # it would be relative to the working directory
            raise BadEndpoint("invalid endpoint: expected file:///C:/DIR; map a share to a drive letter")
        return "file:///" + url.path.strip("/")  # in older Pythons, urlunsplit() turns a path `//a` into a host
    if url.scheme not in {"https", "http"} or not host or not HOST_PORT.fullmatch(url.netloc):
        raise BadEndpoint("invalid endpoint: expected https://HOST, http://HOST or file:///DIR")
    if url.scheme == "http" and not allow_http and not _is_private(host):
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


def _is_private(host: str) -> bool:
    """Whether a host is `localhost` or has a private address; any other name may resolve to any machine."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in PRIVATE_NETWORKS)
