"""Verifies TLS against the system's trust store as well as the CAs bundled with requests, and names what failed.

The CAs bundled with requests do not include a private CA that an administrator added to the system's store. If
`REQUESTS_CA_BUNDLE` (or `CURL_CA_BUNDLE`) names a file, only that file is used. Without `--allow-http`, the only host
name for http:// is `localhost`, and only if it resolves to this machine.
"""

import ipaddress
import os
import socket
import ssl
from collections.abc import Iterator
from typing import Any

from requests import exceptions
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from deepchecks_telemetry.uploader.wire import causes

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class SystemTrustAdapter(HTTPAdapter):
    """The adapter of requests, with the system's trust store loaded too, also for connections through a proxy."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pool for direct connections."""
        super().init_poolmanager(*args, **options | _system_trust())

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """Make the pool for connections through a proxy."""
        return super().proxy_manager_for(*args, **options | _system_trust())


class LoopbackAdapter(HTTPAdapter):
    """The adapter of requests for `localhost`; sends nothing if the name resolves to another machine."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pool for direct connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _LoopbackPool}


class NotLoopbackError(OSError):
    """The name `localhost` resolves to another machine."""


class _LoopbackConnection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        if not ipaddress.ip_address(self.sock.getpeername()[0]).is_loopback:
            raise NotLoopbackError


class _LoopbackPool(HTTPConnectionPool):
    ConnectionCls = _LoopbackConnection


def _system_trust() -> dict[str, Any]:
    if any(os.environ.get(name) for name in BUNDLES):
        return {}
    return {"ssl_context": ssl.create_default_context()}


# Of OpenSSL's X509_V_ERR_…: not yet valid, expired; host name and address mismatch.
VALIDITY_ERRORS, NAME_ERRORS = frozenset({9, 10}), frozenset({62, 64})
CAUSES: tuple[tuple[type[BaseException], str], ...] = (
    (exceptions.ProxyError, causes.PROXY),
    (NotLoopbackError, causes.NOT_LOOPBACK),
    (ssl.SSLError, causes.NO_TLS),
    (exceptions.SSLError, causes.NO_TLS),
    (exceptions.Timeout, causes.TIMEOUT),
    (socket.gaierror, causes.UNKNOWN_HOST),
    (ConnectionRefusedError, causes.REFUSED),
    (exceptions.ConnectionError, causes.NO_CONNECTION),
)


def name_cause(error: Exception) -> str:
    """The phrase for an error of requests or urllib3: the first of `CAUSES` whose type is in its chain of causes."""
    if isinstance(error, exceptions.InvalidSchema) and "SOCKS" in str(error):
        return causes.NO_SOCKS
    chain = list(_chain(error))
    if (type(error) is OSError or any(isinstance(link, ssl.SSLError) for link in chain)) and _is_bundle_unreadable():
        return causes.NO_CA_FILE
    for link in chain:
        if isinstance(link, ssl.SSLCertVerificationError):
            other = causes.OTHER_HOST if link.verify_code in NAME_ERRORS else causes.UNTRUSTED
            return causes.EXPIRED if link.verify_code in VALIDITY_ERRORS else other
    return next((phrase for kind, phrase in CAUSES if any(isinstance(link, kind) for link in chain)), causes.NOT_SENT)


def _chain(error: object) -> Iterator[BaseException]:
    """The error and those that it came from: urllib3 keeps the original as a cause, a context or an argument."""
    if isinstance(error, BaseException):
        yield error
        yield from _chain(error.__cause__ or error.__context__ or next(iter(error.args), None))


def _is_bundle_unreadable() -> bool:
    """Whether the file that `REQUESTS_CA_BUNDLE` names is missing or contains no certificate."""
    bundle = next(filter(None, map(os.environ.get, BUNDLES)), None)
    if bundle is None or os.path.isdir(bundle):
        return False
    try:
        ssl.create_default_context(cafile=bundle)
    except OSError:  # ssl.SSLError is one
        return True
    return False
