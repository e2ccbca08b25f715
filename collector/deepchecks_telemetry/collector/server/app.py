"""The HTTP application: responses follow OTLP/HTTP, and success is reported only after the rows are on the disk.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import hmac
from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deepchecks_telemetry.collector.codec import ENCODINGS, JSON, Encoding
from deepchecks_telemetry.collector.errors import RequestError, StoreError
from deepchecks_telemetry.collector.otlp import utc_today
from deepchecks_telemetry.collector.server.limits import Intake
from deepchecks_telemetry.collector.server.writer import Writer
from deepchecks_telemetry.collector.store import Store

RETRY_AFTER_S = 30

# google.rpc.Code for each HTTP status: for people, because senders use the HTTP status.
CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 408: 4, 413: 8, 415: 3, 429: 8, 503: 14}
HEADERS = {
    401: {"WWW-Authenticate": "Bearer"},
    408: {"Connection": "close"},
    415: {"Accept-Encoding": "gzip"},  # RFC 7694: the accepted encodings of a request
    429: {"Retry-After": str(RETRY_AFTER_S)},
    503: {"Retry-After": str(RETRY_AFTER_S)},
}


def application(store: Store, *, token: str | None = None, today: Callable[[], date] = utc_today) -> Starlette:
    """The ASGI application that stores OTLP logs; with a `token`, only requests with it are accepted."""
    intake, writer = Intake(), Writer(store, today)

    async def logs(request: Request) -> Response:
        encoding = ENCODINGS.get(_media_type(request), JSON)
        try:
            _check_sender(request)
            _check_token(request, token)
            coding = _coding(request)
            async with intake.body(request) as body:
                decoded = await writer.accept(body, coding, encoding)
            return Response(encoding.success(decoded), media_type=encoding.media_type)
        except RequestError as error:
            return _status(error.status, str(error), encoding)
        except StoreError:
            # A full disk or a locked file is temporary: the sender keeps its rows. The path is not in the message.
            return _status(503, "The store cannot be written now.", encoding)
        except ClientDisconnect:
            return _status(400, "The sender left before its body was whole.", encoding)  # not received by anyone

    app = Starlette(
        routes=[Route("/v1/logs", logs, methods=["POST"]), Route("/healthz", partial(_health, store))],
        exception_handlers={HTTPException: _unrouted},
    )
    app.router.redirect_slashes = False  # a redirected POST becomes a GET in many clients
    return app


def _check_sender(request: Request) -> None:
    # Only browsers send an origin, with each POST, also if DNS rebinding made the page resolve to this machine.
    if "origin" in request.headers:
        raise RequestError(403, "Requests from web pages are not accepted.")


def _check_token(request: Request, token: str | None) -> None:
    if token is None:
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    # In constant time, because the time of an ordinary comparison shows how many characters of a guess were right.
    same = hmac.compare_digest(given.strip().encode("latin-1"), token.encode("latin-1"))
    if scheme.lower() != "bearer" or not same:
        raise RequestError(401, "The Authorization header is not the bearer token of this collector.")


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _coding(request: Request) -> str:
    """The content coding of the body; raises `RequestError` for a media type or coding that is not supported."""
    if _media_type(request) not in ENCODINGS:
        raise RequestError(415, f"The Content-Type is neither {' nor '.join(ENCODINGS)}.")
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("gzip", "identity"):
        raise RequestError(415, "The Content-Encoding is neither gzip nor identity.")
    return coding


def _status(code: int, message: str, encoding: Encoding = JSON, headers: Mapping[str, str] | None = None) -> Response:
    """A response with OTLP's Status message."""
    content = encoding.status(CODES.get(code, 2), message)
    return Response(content, code, headers or HEADERS.get(code), encoding.media_type)


def _health(store: Store, _: Request) -> Response:
    try:
        store.check_in_place()
    except StoreError:
        return JSONResponse({"status": "the store was removed"}, 503)
    return JSONResponse({"status": "ok"})


def _unrouted(_: Request, error: Any) -> Response:
    return _status(error.status_code, f"{error.detail}. OTLP logs are sent by POST to /v1/logs.", headers=error.headers)
