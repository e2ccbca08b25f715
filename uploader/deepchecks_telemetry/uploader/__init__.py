"""Uploads sealed batches: each is one standard request, and its outcome is recorded in the ledger.

A host program uses only `upload_if_due`.

background   in the host: checks whether an upload is due, claims it, starts the uploader process
child/       starts that process: interpreter, command, reaper
__main__     that process: flushes once, ends within a minute
plan/        decides whether counts are sent, and explains the decision
schedule     when the next upload is due, as pure functions
notice       the notice before the first upload
setting      which source sets the endpoint
endpoint     where to send, with which headers
flush        seals, sends, settles
wire/        one request: URL, body, TLS, POST, outcome of the response
offline/     export to files, delivery of the files, receipts
errors       the exceptions of this package
"""

from deepchecks_telemetry.uploader.background import upload_if_due

__all__ = ["upload_if_due"]
