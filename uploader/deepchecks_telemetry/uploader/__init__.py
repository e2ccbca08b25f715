"""The uploader: sealed rows become one standard request, an outcome, and an entry in the ledger.

A map of the room, in the order in which a batch goes through it:

background   in the host: is it due, and start a child     schedule   when, as pure functions
notice       told before sent                              endpoint   where to, and who said so
url          which URLs may be sent to
flushing     seal, send, settle                            payload    rows as OTLP/HTTP JSON
transport    one POST, never an exception                  trust      whose certificates count
outcome      what an answer means, as one pure function

And the way without a network: exporting (to a file), courier (reading one), delivering (on a connected machine),
receipt, settling (back home).
"""

from deepchecks_telemetry.spool.tuples import TYPE_CHECKING

if TYPE_CHECKING:
    from deepchecks_telemetry.uploader.background import upload_if_due
    from deepchecks_telemetry.uploader.delivering import deliver
    from deepchecks_telemetry.uploader.endpoint import Endpoint, configure, find_endpoint
    from deepchecks_telemetry.uploader.errors import BadEndpoint, BadFile, CannotWrite, NotAllowed, UploadError
    from deepchecks_telemetry.uploader.exporting import export
    from deepchecks_telemetry.uploader.flushing import Sent, flush, seal_next
    from deepchecks_telemetry.uploader.payload import render
    from deepchecks_telemetry.uploader.settling import settle_receipt

_WHERE = {
    "BadEndpoint": "errors",
    "BadFile": "errors",
    "CannotWrite": "errors",
    "Endpoint": "endpoint",
    "NotAllowed": "errors",
    "Sent": "flushing",
    "UploadError": "errors",
    "configure": "endpoint",
    "deliver": "delivering",
    "export": "exporting",
    "find_endpoint": "endpoint",
    "flush": "flushing",
    "render": "payload",
    "seal_next": "flushing",
    "settle_receipt": "settling",
    "upload_if_due": "background",
}

__all__ = [
    "BadEndpoint",
    "BadFile",
    "CannotWrite",
    "Endpoint",
    "NotAllowed",
    "Sent",
    "UploadError",
    "configure",
    "deliver",
    "export",
    "find_endpoint",
    "flush",
    "render",
    "seal_next",
    "settle_receipt",
    "upload_if_due",
]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(__import__(f"{__name__}.{_WHERE[name]}", fromlist=[name]), name)  # importlib would cost 0.5 ms
