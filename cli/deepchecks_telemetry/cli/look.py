"""`inspect`, `preview`, `sent`: what is pending, the exact next request, and what was sent."""

import hashlib
import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from deepchecks_telemetry.cli.errors import Failure, instruction
from deepchecks_telemetry.cli.output import day_text, digest_text, json_option, plain, say_json, say_table, time_text
from deepchecks_telemetry.cli.query import ask, read_events
from deepchecks_telemetry.spool import catalogue as catalog
from deepchecks_telemetry.spool.batches.ledger import Batch, batches
from deepchecks_telemetry.spool.consent.decision import OFF, decide
from deepchecks_telemetry.spool.errors import Damaged
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.stats import Waiting, read_waiting

LIST_ALL = "To list all batches, run: deepchecks telemetry sent"


@click.command()
@click.option("--events", "raw", is_flag=True, help="List each raw event, before aggregation into counts.")
@click.option("--sql", metavar="QUERY", help="Run a read-only SQL query on the spool.")
@json_option
def inspect(*, raw: bool, sql: str | None, as_json: bool) -> None:
    """List counts that are not sent yet, by day, event, environment.

    Days are UTC. A query can read the spool's tables, and a table catalogue (number, name) of the events.

    \b
    Examples:
      deepchecks telemetry inspect
      deepchecks telemetry inspect --events --json
      deepchecks telemetry inspect --sql "SELECT name, sql FROM sqlite_master"
    """
    if raw and sql is not None:
        raise click.UsageError("--events and --sql cannot be combined.")
    home = find_home()
    if raw:
        _say_events(read_events(home), as_json=as_json)
    elif sql is not None:
        _say_rows(ask(home, sql), as_json=as_json)
    else:
        _say_waiting(read_waiting(home), as_json=as_json)


def _say_waiting(waiting: list[Waiting], *, as_json: bool) -> None:
    if as_json:
        say_json([_waiting_dict(row) for row in waiting])
        return
    heads = ("day (UTC)", "event", "count", "deepchecks, system, python, runtime", "state")
    lines = [(day_text(row.day), row.event, row.count, _place(row.environment), row.state) for row in waiting]
    _say_lines(heads, lines, "Nothing is pending.")


def _waiting_dict(row: Waiting) -> dict[str, object]:
    place = row.environment._asdict()
    return {"day": day_text(row.day), "event": row.event, **place, "count": row.count, "state": row.state}


def _say_events(events: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        say_json(events)
        return
    heads = ("id", "day (UTC)", "event", "deepchecks, system, python, runtime")
    places = [catalog.Environment(*(event[field.name] for field in catalog.FIELDS)) for event in events]
    stored = [(event["id"], event["day"], event["event"]) for event in events]
    lines = [(*event, _place(place)) for event, place in zip(stored, places, strict=True)]
    _say_lines(heads, lines, "There are no raw events; pending ones may already be aggregated into counts.")


def _say_rows(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        say_json(rows)
    else:
        _say_lines(tuple(map(plain, rows[0])) if rows else (), [tuple(row.values()) for row in rows], "No rows.")


def _say_lines(heads: Sequence[str], lines: Sequence[Sequence[object]], nothing: str) -> None:
    if lines:
        say_table(heads, lines)
    else:
        click.echo(nothing)


@click.command()
def preview() -> None:
    """Print the exact body of the next request, byte for byte.

    Standard output has only the body; standard error has its SHA-256, and whether and where it is sent. Pending counts
    are sealed first, so the bytes are those that will be sent.

    \b
    Examples:
      deepchecks telemetry preview
      deepchecks telemetry preview | python -m json.tool
    """
    from deepchecks_telemetry.uploader.flush import seal_next
    from deepchecks_telemetry.uploader.plan.decision import Command
    from deepchecks_telemetry.uploader.plan.facts import plan_upload
    from deepchecks_telemetry.uploader.plan.text import change_mode, summarize

    home = find_home()
    decision = decide(home)
    if decision.mode == OFF:
        remedy = instruction(change_mode(decision.decided_by))
        raise Failure(f"Telemetry is off, decided by {decision.decided_by}. {remedy}")
    waiting = read_waiting(home)
    batch = seal_next(home) if waiting else None
    if batch is not None:
        _say_body(batch)
    elif not waiting:
        click.echo("Nothing is pending.", err=True)
    click.echo(plain(summarize(plan_upload(home, Command.REPORT, time.time()))), err=True)


@click.command()
@click.argument("batch", type=int, required=False)
@json_option
def sent(*, batch: int | None, as_json: bool) -> None:
    """List all batches and their outcome, or print the body of one.

    With BATCH, standard output has only the exact bytes, as with preview. The last finished batches are kept.

    \b
    Examples:
      deepchecks telemetry sent
      deepchecks telemetry sent 1
    """
    ledger = _read_ledger(find_home())
    if batch is not None:
        chosen = [entry for entry in ledger if entry.id == batch]
        if not chosen:
            raise Failure(f"There is no batch {batch}. {LIST_ALL}")
        _say_body(chosen[0])
    elif as_json:
        say_json([_as_dict(entry) for entry in ledger])
    elif not ledger:
        click.echo("There are no batches yet.")
    else:
        say_table(
            ("batch", "state", "events", "attempts", "last attempt (UTC)", "outcome", "sha256"),
            [
                (
                    entry.id,
                    entry.state,
                    entry.events,
                    entry.attempts,
                    (time_text(entry.tried_at) or "never").replace("T", " "),
                    entry.outcome or ("outcome unknown" if entry.attempts else ""),
                    digest_text(entry.sha256),
                )
                for entry in ledger
            ],
        )


def _place(here: catalog.Environment) -> str:
    # One column: it is what gives way on a narrow terminal, and it breaks between words.
    return f"{here.deepchecks_version}, {here.os_name} {here.os_version}, {here.python_version}, {here.runtime}"


def _read_ledger(home: Home) -> list[Batch]:
    try:
        return batches(home)
    except FileNotFoundError:
        return []


def _say_body(batch: Batch) -> None:
    try:
        body = batch.body
    except Damaged as error:
        raise Failure(f"The bytes of batch {batch.id} do not match its SHA-256. {LIST_ALL}") from error
    if not (body.isascii() and body.decode().isprintable()):
        # JSON of ours is; what was edited into the spool would be a terminal's to obey.
        raise Failure(f"The bytes of batch {batch.id} are not a valid request. {LIST_ALL}")
    click.echo(body, nl=False)
    if sys.stdout.isatty():
        click.echo(err=True)  # not a byte of the body, which ends without a line's end
    click.echo(f"batch {batch.id}: {len(body)} bytes, sha256 {batch.sha256}", err=True)
    packed = hashlib.sha256(batch.packed).hexdigest()
    click.echo(f"as sent (gzip): {len(batch.packed)} bytes, sha256 {packed}", err=True)


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
