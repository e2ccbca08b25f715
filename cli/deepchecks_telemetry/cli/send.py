"""`flush`: send now what is pending, one line a batch; the exit code is 0 only when nothing is left."""

import sys
import time
from typing import TYPE_CHECKING

import click

from deepchecks_telemetry.cli.errors import Failure, instruction
from deepchecks_telemetry.cli.output import count_text, json_option, number_text, say_json, say_line
from deepchecks_telemetry.spool.batches.seal import MAX_ROWS
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.stats import Accounts, read_accounts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deepchecks_telemetry.uploader.endpoint import Endpoint
    from deepchecks_telemetry.uploader.flush import Attempt


@click.command()
@click.option(
    "--now",
    "ignore_retry_after",
    is_flag=True,
    help="Send even if the receiver asked to wait (Retry-After).",
)
@click.option(
    "--exported",
    is_flag=True,
    help="Also send batches that were exported but not settled, for example after their file was lost.",
)
@json_option
def flush(*, ignore_retry_after: bool, exported: bool, as_json: bool) -> None:
    """Send pending counts now.

    Prints the endpoint before sending, so no other notice is needed. Exits with 0 only if nothing is left to send.

    \b
    Examples:
      deepchecks telemetry flush
      deepchecks telemetry flush --json
    """
    from deepchecks_telemetry.uploader.plan.decision import BlockedBy, Command, plan
    from deepchecks_telemetry.uploader.plan.facts import read_facts

    home, now = find_home(), time.time()
    books = read_accounts(home)
    facts = read_facts(home, now)
    planned = plan(facts, Command.FLUSH, now, ignore_retry_after=ignore_retry_after, exported=exported)
    tried: list[Attempt] = []
    if planned.sends_now and planned.endpoint is not None:
        _announce(home, planned.endpoint)
        for sent in _interruptible(_run(home, planned.endpoint, books, ignore_retry_after, exported), home):
            tried.append(sent)
            if not as_json:
                click.echo(f"batch {sent.batch.id}: {count_text(sent.batch.events, 'event')}, {_result(sent)}")
    elif planned.blocked_by is not BlockedBy.NOTHING_PENDING:
        raise Failure(f"Nothing was sent: {planned.reason}. {instruction(planned.remedy)}".strip())
    books = read_accounts(home)
    left = books.pending + books.sealed + books.parked
    if as_json:
        url = planned.endpoint and planned.endpoint.url
        say_json({"endpoint": url, "batches": [_as_dict(sent) for sent in tried], "left": left})
    elif not tried and not left:
        click.echo("Nothing is pending.")
    if left:
        raise Failure(_left(books, tried, planned.endpoint))


def _announce(home: Home, endpoint: "Endpoint") -> None:
    """Say where the counts go before they do: for an endpoint of deepchecks itself that is the notice."""
    from deepchecks_telemetry.uploader.notice import mark_shown

    say_line(f"Sending to {endpoint.url} (set by {endpoint.source}).", err=True)
    mark_shown(home, endpoint)


def _run(
    home: Home,
    endpoint: "Endpoint",
    books: Accounts,
    ignore_retry_after: bool,  # noqa: FBT001 - the command's own options
    exported: bool,  # noqa: FBT001
) -> "Iterator[Attempt]":
    from deepchecks_telemetry.uploader.flush import flush as run

    found = run(home, endpoint, parked=True, exported=exported, ignore_retry_after=ignore_retry_after, lock_s=1.0)
    return _with_progress(found, books)


def _interruptible(found: "Iterator[Attempt]", home: Home) -> "Iterator[Attempt]":
    try:
        yield from found
    except KeyboardInterrupt:
        books = read_accounts(home)
        left = count_text(books.pending + books.sealed + books.parked, "event")
        raise Failure(
            f"Interrupted. Nothing is lost: {left} not delivered yet. A request in progress is sent again with "
            "the same identifiers. Run: deepchecks telemetry flush"
        ) from None


def _result(sent: "Attempt") -> str:
    kind = {"retry": "not delivered: ", "parked": "parked: ", "rejected": "rejected: "}.get(sent.outcome.kind, "")
    return f"{kind}{sent.outcome.reason}"


def _left(books: Accounts, tried: "list[Attempt]", endpoint: "Endpoint | None") -> str:
    """What is left and in which state, why the last try failed, and what to do."""
    from deepchecks_telemetry.uploader.wire.causes import remedy_for

    states = ((name, getattr(books, name)) for name in ("pending", "sealed", "parked"))
    left = " and ".join(f"{number_text(events)} {name}" for name, events in states if events)
    failed = next((each.outcome for each in reversed(tried) if each.outcome.kind in ("retry", "parked")), None)
    if failed is None or endpoint is None:
        return f"Events not sent: {left}. Nothing is lost. Run: deepchecks telemetry doctor"
    host = endpoint.host or endpoint.folder
    todo = instruction(remedy_for(failed.reason))
    return f"Events not sent: {left}. {host}: {failed.reason}. {todo} Nothing is lost."


def _with_progress(found: "Iterator[Attempt]", books: Accounts) -> "Iterator[Attempt]":
    """A bar where a person waits for more than one batch; the batches' lines come after it."""
    if books.rows <= MAX_ROWS or not sys.stderr.isatty():
        yield from found
        return
    total = books.pending + books.sealed + books.parked
    sent = []
    with click.progressbar(length=total, label="Sending", file=sys.stderr) as bar:
        for each in found:
            sent.append(each)
            bar.update(each.batch.events)
    yield from sent


def _as_dict(sent: "Attempt") -> dict[str, object]:
    return {
        "batch": sent.batch.id,
        "events": sent.batch.events,
        "outcome": sent.outcome.kind,
        "reason": sent.outcome.reason,
        "sha256": sent.batch.sha256,
    }
