"""Every answer follows OTLP/HTTP, and success is said only after the rows are on the disk.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import hmac
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deepchecks_telemetry.collector.codec import ENCODINGS, JSON, Encoding
from deepchecks_telemetry.collector.errors import RequestError, StoreError
from deepchecks_telemetry.collector.otlp import Decoded, read, utc_today
from deepchecks_telemetry.collector.server.limits import Intake, expanded
from deepchecks_telemetry.collector.store import Store

RETRY_AFTER_S = 30

# google.rpc.Code; a sender decides by the HTTP status, people read this.
CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 408: 4, 413: 8, 415: 3, 429: 8, 503: 14}
HEADERS = {
    401: {"WWW-Authenticate": "Bearer"},
    408: {"Connection": "close"},
    415: {"Accept-Encoding": "gzip"},  # RFC 7694: what is read here
    429: {"Retry-After": str(RETRY_AFTER_S)},
    503: {"Retry-After": str(RETRY_AFTER_S)},
}


def application(store: Store, *, token: str | None = None, today: Callable[[], date] = utc_today) -> Starlette:
    """Build the ASGI application that takes OTLP logs into the store, from those who know the token if there is one."""
    intake = Intake()

    def accept(body: bytes, coding: str, encoding: Encoding) -> Decoded:
        day = today()
        decoded = read(encoding.parse(expanded(body) if coding == "gzip" else body), today=day)
        store.append(decoded.rows, received=day)
        return decoded

    async def logs(request: Request) -> Response:
        encoding = ENCODINGS.get(_media_type(request), JSON)
        try:
            _check_sender(request)
            _check_token(request, token)
            coding = _coding(request)
            async with intake.body(request) as body, intake.turn():
                decoded = await run_in_threadpool(accept, body, coding, encoding)
            return Response(encoding.success(decoded), media_type=encoding.media_type)
        except RequestError as error:
            return _status(error.status, str(error), encoding)
        except StoreError:
            # A full disk or a locked file passes: the sender keeps its rows. The path stays out of the answer.
            return _status(503, "The store cannot be written now.", encoding)
        except ClientDisconnect:
            return _status(400, "The sender left before its body was whole.", encoding)  # nobody hears it

    app = Starlette(
        routes=[Route("/v1/logs", logs, methods=["POST"]), Route("/healthz", _health)],
        exception_handlers={HTTPException: _unrouted},
    )
    app.router.redirect_slashes = False  # a redirected POST becomes a GET in many clients
    return app


def _check_sender(request: Request) -> None:
    # Only a browser names an origin, and with each POST, also of a page whose own name was made to mean this machine.
    if "origin" in request.headers:
        raise RequestError(403, "Requests from web pages are not accepted.")


def _check_token(request: Request, token: str | None) -> None:
    if token is None:
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    # In constant time: the time of an ordinary comparison tells how much of a guess was right.
    same = hmac.compare_digest(given.strip().encode("latin-1"), token.encode("latin-1"))
    if scheme.lower() != "bearer" or not same:
        raise RequestError(401, "The Authorization header is not the bearer token of this collector.")


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _coding(request: Request) -> str:
    """Tell the body's content coding, if the request comes in a form that is read here."""
    if _media_type(request) not in ENCODINGS:
        raise RequestError(415, f"The Content-Type is neither {' nor '.join(ENCODINGS)}.")
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("gzip", "identity"):
        raise RequestError(415, "The Content-Encoding is neither gzip nor identity.")
    return coding


def _status(code: int, message: str, encoding: Encoding = JSON, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with OTLP's Status message."""
    content = encoding.status(CODES.get(code, 2), message)
    return Response(content, code, headers or HEADERS.get(code), encoding.media_type)


def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _unrouted(_: Request, error: Any) -> Response:
    return _status(error.status_code, f"{error.detail}. OTLP logs are sent by POST to /v1/logs.", headers=error.headers)
