"""`flush`: send pending counts now, with one line for each batch; the exit code is 0 only if nothing is left."""

import time
from collections.abc import Iterator

import click

from deepchecks_telemetry.cli.errors import CliError, instruction
from deepchecks_telemetry.cli.output import count_text, echo_json, echo_line, json_option, number_text, with_progress
from deepchecks_telemetry.spool.batches.seal import MAX_ROWS
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.stats import Accounts, read_accounts
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.flush import Attempt
from deepchecks_telemetry.uploader.flush import flush as send_batches
from deepchecks_telemetry.uploader.notice import mark_shown
from deepchecks_telemetry.uploader.plan.decision import BlockedBy, Command, plan
from deepchecks_telemetry.uploader.plan.facts import read_facts
from deepchecks_telemetry.uploader.wire.causes import remedy_for

PREFIXES = {"retry": "not delivered: ", "parked": "parked: ", "rejected": "rejected: "}  # by kind of outcome


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
    help="Also send exported batches whose delivery was not confirmed by the command `settle`, for example if the "
    "exported file was lost.",
)
@json_option
def flush(*, ignore_retry_after: bool, exported: bool, as_json: bool) -> None:
    """Send pending counts now.

    Prints the endpoint first. Batches that the receiver did not accept (parked batches) are sent again too. Batches
    that were damaged in the spool are not sent. Exits with 1 if anything is left: pending counts, or parked or damaged
    batches.

    \b
    Examples:
      deepchecks telemetry flush
      deepchecks telemetry flush --json
    """
    home, now = find_home(), time.time()
    accounts = read_accounts(home)
    planned = plan(read_facts(home, now), Command.FLUSH, now, ignore_retry_after=ignore_retry_after, exported=exported)
    results: list[Attempt] = []
    if planned.sends_now and planned.endpoint is not None:
        _show_notice(home, planned.endpoint)
        sending = send_batches(home, planned.endpoint, parked=True, exported=exported, lock_s=1.0)
        if accounts.rows > MAX_ROWS:
            sending = with_progress(sending, "Sending", _unsent(accounts), lambda sent: sent.batch.events)
        for sent in _interruptible(sending, home):
            results.append(sent)
            if not as_json:
                click.echo(f"batch {sent.batch.id}: {count_text(sent.batch.events, 'event')}, {_outcome(sent)}")
    elif planned.blocked_by is not BlockedBy.NOTHING_PENDING:
        raise CliError(f"Nothing was sent: {planned.reason}. {instruction(planned.remedy)}".strip())
    accounts = read_accounts(home)
    left = _unsent(accounts)
    if as_json:
        url = planned.endpoint and planned.endpoint.url
        echo_json({"endpoint": url, "batches": [_as_dict(sent) for sent in results], "left": left})
    elif not results and not left:
        click.echo("Nothing is pending.")
    if left:
        raise CliError(_failure(accounts, results, planned.endpoint))


def _show_notice(home: Home, endpoint: Endpoint) -> None:
    """Print where counts are sent, before sending: this is the notice where deepchecks itself sets the endpoint."""
    echo_line(f"Sending to {endpoint.url} (set by {endpoint.source}).", err=True)
    mark_shown(home, endpoint)


def _unsent(accounts: Accounts) -> int:
    return accounts.pending + accounts.sealed + accounts.parked


def _interruptible(sending: Iterator[Attempt], home: Home) -> Iterator[Attempt]:
    try:
        yield from sending
    except KeyboardInterrupt:
        left = count_text(_unsent(read_accounts(home)), "event")
        raise CliError(
            f"Interrupted. Nothing is lost: {left} not delivered yet. A request in progress is sent again with "
            "the same identifiers. Run: deepchecks telemetry flush"
        ) from None


def _outcome(sent: Attempt) -> str:
    return f"{PREFIXES.get(sent.outcome.kind, '')}{sent.outcome.reason}"


def _failure(accounts: Accounts, results: list[Attempt], endpoint: Endpoint | None) -> str:
    """What is left and in which state, why the last attempt failed, and what to do."""
    states = ((state, getattr(accounts, state)) for state in ("pending", "sealed", "parked"))
    left = " and ".join(f"{number_text(events)} {state}" for state, events in states if events)
    failed = next((sent.outcome for sent in reversed(results) if sent.outcome.kind in ("retry", "parked")), None)
    if failed is None or endpoint is None:
        return f"Events not sent: {left}. Nothing is lost. Run: deepchecks telemetry doctor"
    host = endpoint.host or endpoint.folder
    remedy = instruction(remedy_for(failed.reason))
    return f"Events not sent: {left}. {host}: {failed.reason}. {remedy} Nothing is lost."


def _as_dict(sent: Attempt) -> dict[str, object]:
    return {
        "batch": sent.batch.id,
        "events": sent.batch.events,
        "outcome": sent.outcome.kind,
        "reason": sent.outcome.reason,
        "sha256": sent.batch.sha256,
    }
