"""`sent`: all batches with their outcome, or the exact body of one."""

import hashlib
import sys
from datetime import datetime

import click

from deepchecks_telemetry.cli.errors import CliError
from deepchecks_telemetry.cli.output import (
    chosen_format,
    csv_option,
    digest_text,
    echo_table,
    json_option,
    nl_option,
    time_text,
)
from deepchecks_telemetry.spool.batches.ledger import Batch, batches
from deepchecks_telemetry.spool.errors import Damaged
from deepchecks_telemetry.spool.files.paths import find_home

LIST_ALL = "To list all batches, run: deepchecks telemetry sent"


@click.command()
@click.argument("batch", type=int, required=False)
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DAY",
    help="Only batches last tried (or, if never tried, sealed) on this UTC day or later.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the N newest.")
@csv_option
@json_option
@nl_option
def sent(*, batch: int | None, since: datetime | None, limit: int | None, **formats: bool) -> None:
    """List batches and their outcomes, newest first, or print one.

    If BATCH, the number of a batch, is given, prints only the exact bytes of its body, as with preview. Of the
    delivered and rejected batches, the last 20 are kept. A DAY is a UTC day, as YYYY-MM-DD.

    \b
    Examples:
      deepchecks telemetry sent
      deepchecks telemetry sent 1
    """
    write = chosen_format(formats)
    if batch is not None and (write or since or limit):
        raise click.UsageError("BATCH cannot be combined with an option.")
    ledger = batches(find_home())
    if batch is not None:
        chosen = [entry for entry in ledger if entry.id == batch]
        if not chosen:
            raise CliError(f"There is no batch {batch}. {LIST_ALL}")
        echo_body(chosen[0])
        return
    first_day = "" if since is None else since.strftime("%Y-%m-%d")
    ledger = [entry for entry in reversed(ledger) if _last_time(entry) >= first_day][:limit]
    if write:
        write([_as_dict(entry) for entry in ledger])
    elif not ledger:
        click.echo(f"There is no batch of {first_day} or later." if first_day else "There are no batches yet.")
    else:
        headers = ("batch", "state", "events", "attempts", "last attempt (UTC)", "outcome", "sha256")
        echo_table(headers, [_row(entry) for entry in ledger], paged=True)


def echo_body(batch: Batch) -> None:
    """Print the exact bytes of a batch, and its digests on stderr."""
    try:
        body = batch.body
    except Damaged as error:
        raise CliError(f"The bytes of batch {batch.id} do not match its SHA-256. {LIST_ALL}") from error
    if not (body.isascii() and body.decode().isprintable()):
        # Our JSON is printable ASCII; other bytes were edited into the spool, and could control the terminal.
        raise CliError(f"The bytes of batch {batch.id} are not a valid request. {LIST_ALL}")
    click.echo(body, nl=False)
    if sys.stdout.isatty():
        click.echo(err=True)  # not part of the body, which does not end with a newline
    click.echo(f"batch {batch.id}: {len(body)} bytes, sha256 {batch.sha256}", err=True)
    compressed_digest = hashlib.sha256(batch.packed).hexdigest()
    click.echo(f"as sent (gzip): {len(batch.packed)} bytes, sha256 {compressed_digest}", err=True)


def _last_time(entry: Batch) -> str:
    return str(time_text(entry.tried_at or entry.sealed_at))


def _row(entry: Batch) -> tuple[object, ...]:
    return (
        entry.id,
        entry.state,
        entry.events,
        entry.attempts,
        (time_text(entry.tried_at) or "never").replace("T", " "),
        entry.outcome or ("outcome unknown" if entry.attempts else ""),
        digest_text(entry.sha256),
    )


def _as_dict(entry: Batch) -> dict[str, object]:
    return {
        "batch": entry.id,
        "state": entry.state,
        "events": entry.events,
        "rejected": entry.rejected,
        "rows": entry.rows,
        "attempts": entry.attempts,
        "sealed_at": time_text(entry.sealed_at),
        "tried_at": time_text(entry.tried_at),
        "outcome": entry.outcome,
        "endpoint": entry.endpoint,
        "sha256": entry.sha256,
    }
