"""Validates the endpoint in force, and writes the user's.

A URL and its headers are in one file, so that the token of one receiver is never combined with the URL of another.
"""

import os
from collections.abc import Mapping
from typing import NamedTuple

from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.uploader.errors import BadEndpoint
from deepchecks_telemetry.uploader.setting import find_setting

ALLOW_HTTP = "allow-http"  # second word in an endpoint file: http:// is allowed outside private networks too
# Set only by the client, because they determine where a request ends, which host it is for, and how its body is read.
CLIENT_HEADERS = frozenset(
    "accept-encoding connection content-encoding content-length content-type expect host keep-alive proxy-connection "
    "te trailer transfer-encoding upgrade".split()
)


class Endpoint(NamedTuple):
    """The URL to post to, the source that set it, and headers for a gateway (which are never printed)."""

    url: str
    source: str
    headers: Mapping[str, str] = {}

    def __repr__(self) -> str:
        return f"Endpoint(url={self.url!r}, source={self.source!r})"

    @property
    def host(self) -> str:
        """The receiver's host and port, in lower case; empty for a directory."""
        from urllib.parse import urlsplit

        return urlsplit(self.url).netloc.lower()

    @property
    def folder(self) -> str | None:
        """The directory of `file:///DIR`, into which batches are exported; None for an HTTP receiver."""
        if not self.url.startswith("file:"):
            return None
        from urllib.parse import unquote, urlsplit

        path = unquote(urlsplit(self.url).path)
        return path.lstrip("/") if os.name == "nt" else path


def find_endpoint(home: Home, attached: str | None = None, environ: Mapping[str, str] = os.environ) -> Endpoint | None:
    """The endpoint in force, None if none is set; raises `BadEndpoint` with the source of an invalid one."""
    setting = find_setting(home, attached, environ)
    if setting is None:
        return None
    source, text = setting
    first, _, rest = text.partition("\n")
    try:
        return Endpoint(_parse_words(first.split()), source, read_headers(rest))
    except BadEndpoint as error:
        raise BadEndpoint(error.problem, source) from None


def configure(home: Home, url: str, *, allow_http: bool = False, headers: Mapping[str, str] | None = None) -> str:
    """Write the user's endpoint and its headers beside the choice (mode 0600), and return the URL to post to."""
    from deepchecks_telemetry.spool.choice import write_private
    from deepchecks_telemetry.uploader.wire.url import parse

    parsed = parse(url, allow_http=allow_http)
    lines = [f"{url} {ALLOW_HTTP}" if allow_http else url]
    for name, value in (headers or {}).items():
        _check_header(name, value)
        lines.append(f"{name}: {value}")
    write_private(os.path.join(home.config, "endpoint"), "\n".join(lines) + "\n")
    return parsed


def _parse_words(words: list[str]) -> str:
    from deepchecks_telemetry.uploader.wire.url import parse  # 4 ms, needed only if an endpoint is set

    url, *rest = words
    if rest not in ([], [ALLOW_HTTP]):
        raise BadEndpoint("invalid endpoint: expected one URL")
    return parse(url, allow_http=bool(rest))


def read_headers(text: str) -> dict[str, str]:
    """Parse lines of `NAME: VALUE`; raises `BadEndpoint` for an invalid header."""
    lines = [line.partition(":") for line in text.splitlines() if line.strip()]
    headers = {name.strip(): value.strip() for name, _, value in lines}
    for name, value in headers.items():
        _check_header(name, value)
    return headers


def _check_header(name: str, value: str) -> None:
    token = name.replace("-", "").replace("_", "")
    if not (token.isascii() and token.isalnum()) or not (value.isascii() and value.isprintable()):
        raise BadEndpoint("invalid header: its name or value contains a character that HTTP does not allow")
    if name.lower() in CLIENT_HEADERS:
        raise BadEndpoint(f"invalid header: {name} is set by the client and cannot be overridden")
