"""The uploader: sealed rows become one standard request, an outcome, and an entry in the ledger.

`upload_if_due` is the whole public interface of a host program. The modules, in the order in which a batch meets them:

background   in the host: start the uploader's process when an upload is due
child/       that process: its interpreter, its command, and who reaps it
schedule     when the next upload is due, as pure functions
notice       the notice that is shown before the first upload
endpoint     where to send, and which source named it
flush        seal, send, settle
wire/        one request: the body, the connection, what the answer means
offline/     the same batches carried in files
errors       the exceptions of this package
"""

from deepchecks_telemetry.uploader.background import upload_if_due

__all__ = ["upload_if_due"]
