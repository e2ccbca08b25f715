"""Every answer follows OTLP/HTTP, and success is said only after the rows are on the disk.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import asyncio
import gzip
import io
import zlib
from collections.abc import Callable, Mapping
from datetime import date, datetime, timezone
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deepchecks_telemetry.collector.errors import RequestError, StoreError
from deepchecks_telemetry.collector.store import Store
from deepchecks_telemetry.collector.wire import Decoded, parse_json, read

MAX_BODY_BYTES = 4 * 2**20
MAX_EXPANDED_BYTES = 16 * 2**20  # our own bodies shrink to a tenth, a gzip bomb to a thousandth
BODY_DEADLINE_S = 30.0
RETRY_AFTER_S = 30

# google.rpc.Code; a sender decides by the HTTP status, people read this.
CODES = {400: 3, 404: 5, 405: 12, 408: 4, 413: 8, 415: 3, 503: 14}
HEADERS = {
    408: {"Connection": "close"},
    415: {"Accept-Encoding": "gzip"},  # RFC 7694: what is read here
    503: {"Retry-After": str(RETRY_AFTER_S)},
}


def utc_today() -> date:
    """Say which UTC day it is."""
    return datetime.now(timezone.utc).date()


def application(store: Store, *, today: Callable[[], date] = utc_today) -> Starlette:
    """Build the ASGI application that takes OTLP logs into the store."""
    # One body at a time is expanded and decoded: JSON takes some 30 times its size as Python objects.
    lane = asyncio.Lock()

    def accept(body: bytes, coding: str) -> Decoded:
        day = today()
        decoded = read(parse_json(expanded(body) if coding == "gzip" else body), today=day)
        store.append(decoded.rows, received=day)
        return decoded

    async def logs(request: Request) -> Response:
        try:
            coding = _coding(request)
            body = await _body(request)
            async with lane:
                return _success(await run_in_threadpool(accept, body, coding))
        except RequestError as error:
            return _status(error.status, str(error))
        except StoreError:
            # A full disk or a locked file passes: the sender keeps its rows. The path stays out of the answer.
            return _status(503, "The store cannot be written now.")
        except ClientDisconnect:
            return _status(400, "The sender left before its body was whole.")  # nobody hears it

    app = Starlette(
        routes=[Route("/v1/logs", logs, methods=["POST"]), Route("/healthz", _health)],
        exception_handlers={HTTPException: _unrouted},
    )
    app.router.redirect_slashes = False  # a redirected POST becomes a GET in many clients
    return app


def expanded(body: bytes) -> bytes:
    """Undo gzip, never beyond the limit."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
            content = file.read(MAX_EXPANDED_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise RequestError(400, "The body is not gzip, as its Content-Encoding says.") from error
    if len(content) > MAX_EXPANDED_BYTES:
        raise RequestError(413, f"The body expands to more than {MAX_EXPANDED_BYTES} bytes.")
    return content


def _coding(request: Request) -> str:
    """Tell the body's content coding, if the request comes in a form that is read here."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RequestError(415, "The Content-Type is not application/json.")
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("gzip", "identity"):
        raise RequestError(415, "The Content-Encoding is neither gzip nor identity.")
    return coding


async def _body(request: Request) -> bytes:
    try:
        return await asyncio.wait_for(_limited(request), BODY_DEADLINE_S)
    except asyncio.TimeoutError as error:
        raise RequestError(408, f"The body did not arrive within {BODY_DEADLINE_S:.0f} s.") from error


async def _limited(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise RequestError(413, f"The body is larger than {MAX_BODY_BYTES} bytes.")
    return bytes(body)


def _success(decoded: Decoded) -> Response:
    """Full success leaves `partialSuccess` unset; without a rejection it is a note to the sender."""
    if not decoded.message:
        return JSONResponse({})
    partial = {"rejectedLogRecords": str(decoded.rejected), "errorMessage": decoded.message}
    return JSONResponse({"partialSuccess": partial})


def _status(code: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with OTLP's Status message."""
    return JSONResponse({"code": CODES.get(code, 2), "message": message}, code, headers or HEADERS.get(code))


def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _unrouted(_: Request, error: Any) -> Response:
    return _status(error.status_code, f"{error.detail}. OTLP logs are sent by POST to /v1/logs.", error.headers)
