"""The uploader: sealed rows become one standard request, an outcome, and an entry in the ledger.

A map of the room, in the order in which a batch goes through it:

background   in the host: is it due, and start a child     schedule   when, as pure functions
notice       told before sent                              endpoint   where to, and who said so
flushing     seal, send, settle                            payload    rows as OTLP/HTTP JSON
transport    one POST, never an exception                  outcome    what an answer means, as one pure function
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deepchecks_telemetry.uploader.background import upload_if_due
    from deepchecks_telemetry.uploader.endpoint import Endpoint, configure, find_endpoint
    from deepchecks_telemetry.uploader.errors import BadEndpoint, NotAllowed, UploadError
    from deepchecks_telemetry.uploader.flushing import Sent, flush, seal_next
    from deepchecks_telemetry.uploader.payload import render

_WHERE = {
    "BadEndpoint": "errors",
    "Endpoint": "endpoint",
    "NotAllowed": "errors",
    "Sent": "flushing",
    "UploadError": "errors",
    "configure": "endpoint",
    "find_endpoint": "endpoint",
    "flush": "flushing",
    "render": "payload",
    "seal_next": "flushing",
    "upload_if_due": "background",
}

__all__ = [
    "BadEndpoint",
    "Endpoint",
    "NotAllowed",
    "Sent",
    "UploadError",
    "configure",
    "find_endpoint",
    "flush",
    "render",
    "seal_next",
    "upload_if_due",
]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
