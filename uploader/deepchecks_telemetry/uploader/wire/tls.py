"""Whom we believe that a receiver is who it says: the authorities of the system, beside those that requests brings.

A private authority that an administrator has put into the system's store is in no file of requests'. Where
`REQUESTS_CA_BUNDLE` (or curl's own variable) names a file, that file alone counts. The one name that is believed
without a certificate is `localhost`, and only where it leads to this machine.
"""

import ipaddress
import os
import ssl
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class Trusting(HTTPAdapter):
    """Requests' own way to a host, directly or through a proxy, with the system's store loaded too."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pool for direct connections."""
        super().init_poolmanager(*args, **options | _context())

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """Make the pool for connections through a proxy."""
        return super().proxy_manager_for(*args, **options | _context())


class Local(HTTPAdapter):
    """Requests' own way to `localhost`, which says nothing to another machine, whatever a resolver answers."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pool for direct connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _LocalPool}


class _LocalConnection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        if not ipaddress.ip_address(self.sock.getpeername()[0]).is_loopback:
            raise OSError("localhost is another machine")


class _LocalPool(HTTPConnectionPool):
    ConnectionCls = _LocalConnection


def _context() -> dict[str, Any]:
    if any(os.environ.get(name) for name in BUNDLES):
        return {}
    return {"ssl_context": ssl.create_default_context()}
