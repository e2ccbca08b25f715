"""The exact bytes of the next request, and the outcome of earlier batches."""

from collections import Counter
from collections.abc import Iterator, Sequence

from deepchecks_telemetry.cli.html import Html, table, tag
from deepchecks_telemetry.cli.output import count_text, digest_text, time_text
from deepchecks_telemetry.cli.page.chart import bars, by_day, chart, legend
from deepchecks_telemetry.cli.page.data import DAY_S, STATES, Entry, PageData
from deepchecks_telemetry.cli.show.status import last_attempt
from deepchecks_telemetry.spool.batches.ledger import Batch
from deepchecks_telemetry.spool.consent.decision import OFF
from deepchecks_telemetry.spool.states import BatchState


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


def ledger(data: PageData) -> Iterator[Html]:
    """What was sent over time and what was not, the attempts that failed, and all batches that are still stored."""
    if not data.ledger:
        yield tag("p", "There are no batches yet.")
        return
    batches = [entry.batch for entry in data.ledger]
    yield tag("p", *_attempts(batches))
    yield from _chart(batches, data)
    headers = (
        *("batch", "state", "events", "rows", "attempts", "failed"),
        *("last attempt (UTC)", "endpoint", "outcome", "sha256"),
    )
    rows = [_row(batch) for batch in reversed(batches)]
    yield table(headers, rows, caption="Batches that are not finished, and the last finished ones", blocks=True)


def _attempts(batches: Sequence[Batch]) -> Iterator[object]:
    """How many attempts failed, and the reason of the last one if it is still stored."""
    attempts = sum(batch.attempts for batch in batches if _is_number(batch.attempts))
    failed = sum(map(_failed, batches))
    yield f"{failed:,} of {count_text(attempts, 'upload attempt')} failed." if attempts else "No upload attempt yet."
    last = max(filter(_failed_last, batches), key=lambda batch: batch.tried_at or 0, default=None)
    if last is not None:
        described = {"at": time_text(last.tried_at), "endpoint": last.endpoint, "outcome": last.outcome}
        yield f" The last failure: {last_attempt(described)}."
    elif failed:
        yield " Later attempts succeeded, so the reasons are no longer stored."


def _failed(batch: Batch) -> int:
    """The attempts that failed or whose outcome is unknown; an exported batch has no endpoint unless it was tried."""
    succeeded = batch.endpoint is not None and not _failed_last(batch)
    return max(0, batch.attempts - succeeded) if _is_number(batch.attempts) else 0


def _failed_last(batch: Batch) -> bool:
    """Whether the last attempt failed, or its outcome is unknown."""
    can_be_sent = batch.state in (BatchState.SEALED, BatchState.PARKED, BatchState.EXPORTED)
    return can_be_sent and _is_number(batch.tried_at) and batch.outcome != "exported"


def _chart(batches: Sequence[Batch], data: PageData) -> Iterator[Html]:
    """The events of batches by their state and the day of the last attempt; nothing if none was tried."""
    tried = [batch for batch in batches if _is_number(batch.tried_at) and _is_number(batch.events)]
    sums = by_day(((batch.tried_at or 0) // DAY_S, batch.state, batch.events) for batch in tried)
    if sums:
        total = sum(sums.values(), Counter[str]())
        texts = {str(state): f"{total[state]:,} {state}" for state in STATES if total[state]}
        unit, all_bars = bars(sums, int(data.now) // DAY_S)
        title = f"Events of these batches by the {unit.name} of the last attempt (UTC)"
        yield tag("p", title, class_="note")
        yield legend(texts)
        yield chart(unit, all_bars, label=f"{title}: {', '.join(texts.values())}")


def _is_number(value: object) -> bool:
    return isinstance(value, int)  # a spool that was edited by hand can hold a text


def _row(batch: Batch) -> tuple[object, ...]:
    return (
        *(batch.id, batch.state, batch.events, batch.rows, batch.attempts, _failed(batch)),
        tag("span", (time_text(batch.tried_at) or "never").replace("T", " "), class_="whole"),
        tag("code", batch.endpoint) if batch.endpoint else "",
        batch.outcome or ("outcome unknown" if batch.attempts else ""),
        tag("code", digest_text(batch.sha256), class_="whole"),
    )
