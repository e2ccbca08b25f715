"""The exact bytes of the next request, and what became of those before it."""

from collections.abc import Iterator

from deepchecks_telemetry.cli.output import count_text, digest_text, time_text
from deepchecks_telemetry.cli.page.facts import Entry, Facts
from deepchecks_telemetry.cli.page.html import Html, table, tag
from deepchecks_telemetry.spool.consent.decision import OFF


def upcoming(facts: Facts) -> Iterator[Html]:
    """The next request's body, folded, as it would be sent."""
    entry = facts.next_up
    if entry is None:
        yield tag("p", f"No request: {_reason(facts)}.")
        return
    batch = entry.batch
    yield tag("p", f"Batch {batch.id}: {count_text(batch.events, 'event')}. {facts.status['sending']}")
    yield _bytes(entry)


def _reason(facts: Facts) -> str:
    if facts.status["mode"] == OFF:
        return str(facts.status["reason"])
    return "only parked batches are left (see Batches)" if facts.status["parked"] else "nothing is pending"


def _bytes(entry: Entry) -> Html:
    batch = entry.batch
    if entry.body is None:
        return tag("p", f"The bytes of batch {batch.id} do not match its SHA-256.", class_="problem")
    summary = tag("summary", f"Body ({count_text(len(entry.body), 'byte')})")
    digest = tag("p", "sha256 ", tag("code", batch.sha256), f", compressed {count_text(len(batch.packed), 'byte')}")
    shown = tag("code", entry.body.decode("utf-8", "backslashreplace"))
    label = f"The body of batch {batch.id}"
    return tag("details", summary, digest, tag("pre", shown, tabindex="0", role="region", aria_label=label))


def ledger(facts: Facts) -> Html:
    """All batches that are still known, the newest first."""
    if not facts.ledger:
        return tag("p", "There are no batches yet.")
    heads = ("batch", "state", "events", "rows", "attempts", "last attempt (UTC)", "endpoint", "outcome", "sha256")
    lines = [_line(entry) for entry in reversed(facts.ledger)]
    return table(heads, lines, caption="Batches that are not finished, and the last finished ones")


def _line(entry: Entry) -> tuple[object, ...]:
    batch = entry.batch
    tried = (time_text(batch.tried_at) or "never").replace("T", " ")
    told = (batch.id, batch.state, batch.events, batch.rows, batch.attempts, tried)
    return (*told, batch.endpoint or "", batch.outcome or "", tag("code", digest_text(batch.sha256)))
