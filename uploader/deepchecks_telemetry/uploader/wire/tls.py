"""Verify TLS against the system's trust store as well as the CAs bundled with requests, and name what failed.

A private authority that an administrator has put into the system's store is in no file of requests'. Where
`REQUESTS_CA_BUNDLE` (or curl's own variable) names a file, that file alone counts. The one name that is accepted
without a certificate is `localhost`, and only where it leads to this machine.
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
    """Requests' own way to a host, directly or through a proxy, with the system's store loaded too."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pool for direct connections."""
        super().init_poolmanager(*args, **options | _context())

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """Make the pool for connections through a proxy."""
        return super().proxy_manager_for(*args, **options | _context())


class LoopbackAdapter(HTTPAdapter):
    """Requests' own way to `localhost`, which says nothing to another machine, whatever a resolver answers."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pool for direct connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _LocalPool}


class NotLoopbackError(OSError):
    """The name `localhost` leads to another machine."""


class _LocalConnection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        if not ipaddress.ip_address(self.sock.getpeername()[0]).is_loopback:
            raise NotLoopbackError


class _LocalPool(HTTPConnectionPool):
    ConnectionCls = _LocalConnection


def _context() -> dict[str, Any]:
    if any(os.environ.get(name) for name in BUNDLES):
        return {}
    return {"ssl_context": ssl.create_default_context()}


# Of OpenSSL's X509_V_ERR_…: not yet valid, expired; host name and address mismatch.
TIMES, NAMES = frozenset({9, 10}), frozenset({62, 64})
KINDS: tuple[tuple[type[BaseException], str], ...] = (
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
    """The phrase for an error of the libraries: the first of `KINDS` in its chain of causes."""
    if isinstance(error, exceptions.InvalidSchema) and "SOCKS" in str(error):
        return causes.NO_SOCKS
    chain = list(_chain(error))
    if (type(error) is OSError or any(isinstance(link, ssl.SSLError) for link in chain)) and _is_bundle_unreadable():
        return causes.NO_CA_FILE
    for link in chain:
        if isinstance(link, ssl.SSLCertVerificationError):
            return _name_certificate(link.verify_code)
    return next((phrase for kind, phrase in KINDS if any(isinstance(link, kind) for link in chain)), causes.NOT_SENT)


def _name_certificate(code: int) -> str:
    if code in TIMES:
        return causes.EXPIRED
    return causes.OTHER_HOST if code in NAMES else causes.UNTRUSTED


def _chain(error: object) -> Iterator[BaseException]:
    """The error and what it was made from: urllib3 keeps the original as a cause, a context or an argument."""
    if isinstance(error, BaseException):
        yield error
        yield from _chain(error.__cause__ or error.__context__ or next(iter(error.args), None))


def _is_bundle_unreadable() -> bool:
    """Whether there is no file where `REQUESTS_CA_BUNDLE` names one, or no certificate in it."""
    bundle = next(filter(None, map(os.environ.get, BUNDLES)), None)
    if bundle is None or os.path.isdir(bundle):
        return False
    try:
        ssl.create_default_context(cafile=bundle)
    except OSError:  # ssl.SSLError is one
        return True
    return False
