"""Sends one POST within one total deadline; never raises, follows no redirect, keeps no cookie, reads no ~/.netrc."""

import gzip
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.wire import causes
from deepchecks_telemetry.uploader.wire.otlp import SCOPE
from deepchecks_telemetry.uploader.wire.outcome import Response

if TYPE_CHECKING:
    import requests

CONNECT_S, READ_S = 5.0, 10.0
DEADLINE_S = 20.0  # in total, because a server that sends a byte each second never causes a read timeout
MAX_RESPONSE_BYTES = 65_536
UNSUPPORTED = 415


def post(endpoint: Endpoint, packed: bytes, *, deadline_s: float = DEADLINE_S) -> Response:
    """Send gzip bytes and return the response, or a timeout after `deadline_s`."""
    # No timeout of requests covers name resolution, headers and body together, so the call runs in a thread that is
    # abandoned at the deadline. As a daemon thread it ends with this process, which is never the host.
    responses: list[Response] = []
    thread = threading.Thread(target=lambda: responses.append(_send(endpoint, packed)), daemon=True)
    thread.start()
    thread.join(deadline_s)  # SimpleQueue.get(timeout=) can block forever if a signal arrives as its timeout ends
    return responses[0] if responses else Response(error=causes.TIMEOUT)


def _send(endpoint: Endpoint, packed: bytes) -> Response:
    response = _post(endpoint, packed, {"Content-Encoding": "gzip"})
    if response.status == UNSUPPORTED:  # a receiver that does not accept gzip
        return _post(endpoint, gzip.decompress(packed), {})
    return response


def _post(endpoint: Endpoint, body: bytes, encoding: Mapping[str, str]) -> Response:
    import requests

    from deepchecks_telemetry.uploader.wire.tls import LoopbackAdapter, SystemTrustAdapter, name_cause

    headers = {
        "Content-Type": "application/json",
        **encoding,
        "Accept-Encoding": "identity",
        "User-Agent": f"deepchecks-telemetry/{SCOPE['version']}",
    }
    with requests.Session() as session:
        session.auth = lambda request: request  # adds nothing; if it is set, requests does not read ~/.netrc
        session.mount("https://", SystemTrustAdapter())
        for local in ("http://localhost:", "http://localhost/"):
            session.mount(local, LoopbackAdapter())
        try:
            with session.post(
                endpoint.url,
                data=body,
                headers={**endpoint.headers, **headers},
                timeout=(CONNECT_S, READ_S),
                allow_redirects=False,  # requests would turn the POST into a GET
                stream=True,
            ) as response:
                return _read(response)
        except Exception as error:  # noqa: BLE001 - requests also lets errors of urllib3 and idna through
            return Response(error=name_cause(error))


def _read(response: "requests.Response") -> Response:
    from urllib3.exceptions import HTTPError

    try:
        # Not decompressed: no compressed response was asked for, and it could be a decompression bomb.
        body = response.raw.read(MAX_RESPONSE_BYTES + 1, decode_content=False)
    except HTTPError:
        return Response(error=causes.CUT_SHORT)
    if len(body) > MAX_RESPONSE_BYTES:
        return Response(error=causes.TOO_LONG)
    if response.raw.length_remaining:
        return Response(error=causes.CUT_SHORT)
    return Response(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)
