"""One POST, within one total deadline, to an answer: nothing is raised, followed, remembered or read from ~/.netrc."""

import gzip
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.wire import causes
from deepchecks_telemetry.uploader.wire.otlp import SCOPE
from deepchecks_telemetry.uploader.wire.outcome import Answer

if TYPE_CHECKING:
    import requests

CONNECT_S, READ_S = 5.0, 10.0
DEADLINE_S = 20.0  # for all of it: a server that drips a byte a second never meets a read timeout
MAX_ANSWER = 65_536
UNSUPPORTED = 415


def post(endpoint: Endpoint, packed: bytes, *, deadline_s: float = DEADLINE_S) -> Answer:
    """Send gzip bytes and return what came back, at the latest after `deadline_s`."""
    # No timeout of requests covers name resolution, headers and body together, so the whole call runs in a thread that
    # is left behind at the deadline; as a daemon it ends with this process, which is never the host's.
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(_send(endpoint, packed)), daemon=True)
    thread.start()
    thread.join(deadline_s)  # SimpleQueue.get(timeout=) can wait for ever where a signal arrives as its time ends
    return answers[0] if answers else Answer(error=causes.TIMEOUT)


def _send(endpoint: Endpoint, packed: bytes) -> Answer:
    answer = _post(endpoint, packed, {"Content-Encoding": "gzip"})
    if answer.status == UNSUPPORTED:  # a receiver that knows no gzip
        return _post(endpoint, gzip.decompress(packed), {})
    return answer


def _post(endpoint: Endpoint, body: bytes, encoding: Mapping[str, str]) -> Answer:
    import requests

    from deepchecks_telemetry.uploader.wire.tls import LoopbackAdapter, SystemTrustAdapter, name_cause

    headers = {
        "Content-Type": "application/json",
        **encoding,
        "Accept-Encoding": "identity",
        "User-Agent": f"deepchecks-telemetry/{SCOPE['version']}",
    }
    with requests.Session() as session:
        session.auth = _no_netrc
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
        except Exception as error:  # noqa: BLE001 - urllib3's and idna's own pass through; an outcome is a value
            return Answer(error=name_cause(error))


def _read(response: "requests.Response") -> Answer:
    from urllib3.exceptions import HTTPError

    try:
        # As it came over the wire: a compressed answer was not asked for, and could be a bomb.
        body = response.raw.read(MAX_ANSWER + 1, decode_content=False)
    except HTTPError:
        return Answer(error=causes.CUT_SHORT)
    if len(body) > MAX_ANSWER:
        return Answer(error=causes.TOO_LONG)
    if response.raw.length_remaining:
        return Answer(error=causes.CUT_SHORT)
    return Answer(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)


def _no_netrc(request: "requests.PreparedRequest") -> "requests.PreparedRequest":
    """An authentication that adds nothing: with one set, requests does not look into ~/.netrc."""
    return request
