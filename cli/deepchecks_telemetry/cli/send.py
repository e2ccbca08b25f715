"""`flush`: send now what waits, one line a batch; the exit code is 0 only when nothing is left waiting."""

import sys
from typing import TYPE_CHECKING

import click

from deepchecks_telemetry.cli.errors import Failure
from deepchecks_telemetry.cli.output import count_text, json_option, say_json
from deepchecks_telemetry.spool.batches.seal import MAX_ROWS
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.stats import Accounts, read_accounts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deepchecks_telemetry.uploader.flush import Sent


@click.command()
@click.option("--now", "insist", is_flag=True, help="Do not wait even where the receiver asked for it.")
@click.option("--exported", is_flag=True, help="Also what was exported and is not settled: its file was lost.")
@json_option
def flush(*, insist: bool, exported: bool, as_json: bool) -> None:
    """Send now what waits. Exits with 0 only when nothing is left waiting.

    \b
    Examples:
      deepchecks telemetry flush
      deepchecks telemetry flush --json
    """
    from deepchecks_telemetry.uploader.endpoint import find_endpoint
    from deepchecks_telemetry.uploader.flush import check_mode
    from deepchecks_telemetry.uploader.flush import flush as run

    home = find_home()
    check_mode(home)
    books = read_accounts(home)
    endpoint = find_endpoint(home, books.attached_endpoint)
    if endpoint is None:
        raise Failure("No endpoint is configured. Set one with: deepchecks telemetry enable --endpoint https://HOST")
    tried = []
    if books.pending or books.sealed or (exported and books.exported):
        found = run(home, endpoint, parked=True, exported=exported, insist=insist, lock_s=1.0)
        for sent in _with_progress(found, books):
            tried.append(sent)
            if not as_json:
                click.echo(f"batch {sent.batch.id}: {count_text(sent.batch.events, 'event')}, {sent.outcome.reason}")
    books = read_accounts(home)
    left = books.pending + books.sealed
    if as_json:
        say_json({"endpoint": endpoint.url, "batches": [_as_dict(sent) for sent in tried], "left": left})
    elif not tried and not left:
        click.echo("Nothing waits.")
    if left:
        raise Failure(f"Still waiting: {count_text(left, 'event')}. Nothing is lost; try again later.")


def _with_progress(found: "Iterator[Sent]", books: Accounts) -> "Iterator[Sent]":
    """Where a person waits for more than one batch, they see how far it is; the batches' lines come after the bar."""
    if books.rows <= MAX_ROWS or not sys.stderr.isatty():
        yield from found
        return
    total = books.pending + books.sealed
    sent = []
    with click.progressbar(length=total, label="Sending", file=sys.stderr) as bar:
        for each in found:
            sent.append(each)
            bar.update(each.batch.events)
    yield from sent


def _as_dict(sent: "Sent") -> dict[str, object]:
    return {
        "batch": sent.batch.id,
        "events": sent.batch.events,
        "outcome": sent.outcome.kind,
        "reason": sent.outcome.reason,
        "sha256": sent.batch.sha256,
    }
