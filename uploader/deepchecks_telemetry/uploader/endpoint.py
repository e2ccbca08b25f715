"""Where to send, and who said so: the administrator, the environment, the user, or deepchecks itself, in this order.

There is no built-in endpoint: with none configured nothing leaves the machine.
"""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit, urlunsplit

from deepchecks_telemetry.spool.choice import write_private
from deepchecks_telemetry.spool.consent import CHOICE, POLICY
from deepchecks_telemetry.spool.paths import Home
from deepchecks_telemetry.uploader.errors import BadEndpoint

VARIABLE = "DEEPCHECKS_TELEMETRY_ENDPOINT"
ATTACHED = "deepchecks itself"
LOGS_PATH = "/v1/logs"
ALLOW_HTTP = "allow-http"  # the second word of an endpoint file: http:// beyond private networks is wanted


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The URL that is posted to, the source that named it, and headers for a gateway (never shown anywhere)."""

    url: str
    source: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def find_endpoint(home: Home, attached: str | None = None, environ: Mapping[str, str] = os.environ) -> Endpoint | None:
    """The endpoint in force, None where there is none; raises `BadEndpoint` naming the source of a wrong one."""
    sources = (
        (POLICY, _first_line(os.path.join(home.policy, "endpoint")), os.path.join(home.policy, "headers")),
        (VARIABLE, environ.get(VARIABLE), None),
        (CHOICE, _first_line(os.path.join(home.config, "endpoint")), os.path.join(home.config, "headers")),
        (ATTACHED, attached, None),
    )
    for source, text, headers in sources:
        if text:
            return Endpoint(_parse_line(text, source), source, _read_headers(headers) if headers else {})
    return None


def configure(home: Home, url: str, *, allow_http: bool = False, headers: Mapping[str, str] | None = None) -> str:
    """Keep the user's endpoint beside the choice (0600), and return the URL that will be posted to."""
    parsed = parse(url, allow_http=allow_http)
    for name, value in (headers or {}).items():
        _check_header(name, value)
    write_private(os.path.join(home.config, "endpoint"), f"{url}{' ' + ALLOW_HTTP if allow_http else ''}\n")
    if headers is not None:
        write_private(
            os.path.join(home.config, "headers"), "".join(f"{name}: {value}\n" for name, value in headers.items())
        )
    return parsed


def parse(text: str, *, allow_http: bool = False) -> str:
    """The URL to post to for a base URL; `BadEndpoint` says what is wrong, without repeating the text."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise BadEndpoint("the endpoint holds a blank, a control character or a letter that is not ASCII")
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        raise BadEndpoint("the endpoint is no URL") from None
    if url.scheme not in {"https", "http"} or not host:
        raise BadEndpoint("the endpoint is no URL that begins with https:// or http://")
    _check_parts(url)
    if url.scheme == "http" and not allow_http and not _is_near(host):
        raise BadEndpoint("the endpoint is http:// and not on this machine or a private network")
    path = url.path.rstrip("/")
    return urlunsplit((url.scheme, url.netloc, path if path.endswith(LOGS_PATH) else path + LOGS_PATH, "", ""))


def _check_parts(url: SplitResult) -> None:
    if "@" in url.netloc:
        raise BadEndpoint("the endpoint holds a user name or password; give a token as a header instead")
    if url.query or url.fragment:
        raise BadEndpoint("the endpoint holds a query or a fragment")


def _is_near(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False


def _parse_line(text: str, source: str) -> str:
    url, *words = text.split()
    try:
        return parse(url, allow_http=words == [ALLOW_HTTP])
    except BadEndpoint as error:
        raise BadEndpoint(f"{error} (it comes from {source})") from None


def _first_line(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline(4096).strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        raise BadEndpoint("the file with the endpoint cannot be read") from None


def _read_headers(path: str) -> dict[str, str]:
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.partition(":") for line in file.read(65536).splitlines() if line.strip()]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError):
        raise BadEndpoint("the file with the endpoint's headers cannot be read") from None
    headers = {name.strip(): value.strip() for name, _, value in lines}
    for name, value in headers.items():
        _check_header(name, value)
    return headers


def _check_header(name: str, value: str) -> None:
    token = name.replace("-", "").replace("_", "")
    if not (token.isascii() and token.isalnum()) or not (value.isascii() and value.isprintable()):
        raise BadEndpoint("a header's name or value holds what no HTTP header may")
