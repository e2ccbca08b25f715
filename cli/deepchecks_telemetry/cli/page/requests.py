"""The exact bytes of the next request, and the outcome of earlier batches."""

from collections.abc import Iterator

from deepchecks_telemetry.cli.html import Html, table, tag
from deepchecks_telemetry.cli.output import count_text, digest_text, time_text
from deepchecks_telemetry.cli.page.data import Entry, PageData
from deepchecks_telemetry.spool.consent.decision import OFF


def next_request(data: PageData) -> Iterator[Html]:
    """The exact body of the next request, in a collapsed block."""
    entry = data.next_request
    if entry is None:
        yield tag("p", f"No request: {_reason(data)}.")
        return
    batch = entry.batch
    yield tag("p", f"Batch {batch.id}: {count_text(batch.events, 'event')}. {data.status['sending']}")
    yield _bytes(entry)


def _reason(data: PageData) -> str:
    if data.status["mode"] == OFF:
        return str(data.status["reason"])
    return "only parked batches are left (see Batches)" if data.status["parked"] else "nothing is pending"


def _bytes(entry: Entry) -> Html:
    batch = entry.batch
    if entry.body is None:
        return tag("p", f"The bytes of batch {batch.id} do not match its SHA-256.", class_="problem")
    summary = tag("summary", f"Body ({count_text(len(entry.body), 'byte')})")
    digest = tag("p", "sha256 ", tag("code", batch.sha256), f", compressed {count_text(len(batch.packed), 'byte')}")
    body = tag("code", entry.body.decode("utf-8", "backslashreplace"))
    label = f"The body of batch {batch.id}"
    return tag("details", summary, digest, tag("pre", body, tabindex="0", role="region", aria_label=label))


def ledger(data: PageData) -> Html:
    """All batches that are still stored, the newest first."""
    if not data.ledger:
        return tag("p", "There are no batches yet.")
    headers = ("batch", "state", "events", "rows", "attempts", "last attempt (UTC)", "endpoint", "outcome", "sha256")
    rows = [_row(entry) for entry in reversed(data.ledger)]
    return table(headers, rows, caption="Batches that are not finished, and the last finished ones")


def _row(entry: Entry) -> tuple[object, ...]:
    batch = entry.batch
    return (
        batch.id,
        batch.state,
        batch.events,
        batch.rows,
        batch.attempts,
        (time_text(batch.tried_at) or "never").replace("T", " "),
        batch.endpoint or "",
        batch.outcome or "",
        tag("code", digest_text(batch.sha256)),
    )
