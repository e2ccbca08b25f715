"""`inspect`, `preview`, `sent`, `catalogue`: what waits, the exact next request, what was sent, what may ever be."""

import hashlib
import zlib

import click

from deepchecks_telemetry.cli.errors import Failure
from deepchecks_telemetry.cli.show import day_text, json_option, say_json, say_table, time_text
from deepchecks_telemetry.spool import catalogue as catalog
from deepchecks_telemetry.spool.accounts import read_waiting
from deepchecks_telemetry.spool.consent import OFF, decide
from deepchecks_telemetry.spool.ledger import Batch, batches
from deepchecks_telemetry.spool.paths import Home, find_home


@click.command()
@json_option
def inspect(*, as_json: bool) -> None:
    """What waits on this machine, by UTC day, event and environment.

    \b
    Examples:
      deepchecks telemetry inspect
      deepchecks telemetry inspect --json
    """
    waiting = read_waiting(find_home())
    if as_json:
        say_json(
            [
                {"day": day_text(row.day), "event": row.event, **row.environment._asdict(), "count": row.count}
                | {"sealed": row.sealed}
                for row in waiting
            ]
        )
    elif not waiting:
        click.echo("Nothing waits.")
    else:
        say_table(
            ("day (UTC)", "event", "count", "deepchecks, system, python, runtime", "state"),
            [
                (
                    day_text(row.day),
                    row.event,
                    row.count,
                    _place(row.environment),
                    "sealed" if row.sealed else "pending",
                )
                for row in waiting
            ],
        )


@click.command()
def preview() -> None:
    """The exact body of the next request, byte for byte.

    It stands alone on standard output, its digests on standard error. What waits is sealed first, so the bytes are the
    ones that will be sent.

    \b
    Examples:
      deepchecks telemetry preview
      deepchecks telemetry preview | python -m json.tool
    """
    from deepchecks_telemetry.uploader.flushing import seal_next

    home = find_home()
    decision = decide(home)
    if decision.mode == OFF:
        raise Failure(f"Telemetry is off here ({decision.decided_by}). Turn it on with: deepchecks telemetry enable")
    batch = seal_next(home) if read_waiting(home) else None
    if batch is None:
        click.echo("Nothing waits.", err=True)
        return
    _say_body(batch)


@click.command()
@click.argument("batch", type=int, required=False)
@json_option
def sent(*, batch: int | None, as_json: bool) -> None:
    """What became of each batch; with its number, its exact body.

    The bytes stand alone on standard output, as with preview; those of the last finished batches are kept.

    \b
    Examples:
      deepchecks telemetry sent
      deepchecks telemetry sent 1
    """
    ledger = _read_ledger(find_home())
    if batch is not None:
        chosen = [entry for entry in ledger if entry.id == batch]
        if not chosen:
            raise Failure(f"There is no batch {batch} in the ledger. See: deepchecks telemetry sent")
        _say_body(chosen[0])
    elif as_json:
        say_json([_as_dict(entry) for entry in ledger])
    elif not ledger:
        click.echo("No batch was made yet.")
    else:
        say_table(
            ("batch", "state", "events", "rows", "tries", "last try (UTC)", "outcome", "sha256"),
            [
                (
                    entry.id,
                    entry.state,
                    entry.events,
                    entry.rows,
                    entry.attempts,
                    (time_text(entry.tried_at) or "never").replace("T", " "),
                    entry.outcome or "",
                    entry.sha256[:12],
                )
                for entry in ledger
            ],
        )


@click.command()
@json_option
def catalogue(*, as_json: bool) -> None:
    """Every event and field that may ever be recorded, and why.

    \b
    Examples:
      deepchecks telemetry catalogue
      deepchecks telemetry catalogue --json
    """
    from deepchecks_telemetry.spool import environment

    here = environment.current()
    if as_json:
        fields = zip(catalog.FIELDS, here, strict=True)
        say_json(
            {
                "events": [{"name": event.name, "when": event.when} for event in catalog.EVENTS],
                "fields": [
                    {"name": field.name, "opentelemetry": field.wire, "why": field.why, "here": value}
                    for field, value in fields
                ],
            }
        )
        return
    say_table(("event", "counted when"), [(event.name, event.when) for event in catalog.EVENTS])
    click.echo()
    say_table(
        ("field", "OpenTelemetry's name", "here", "why"),
        [(field.name, field.wire, value, field.why) for field, value in zip(catalog.FIELDS, here, strict=True)],
    )
    click.echo("\nBeside these: the UTC day, the count, and a random identifier of this installation.")


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
    except (OSError, EOFError, zlib.error, TypeError):
        body = b""
    digest = hashlib.sha256(body).hexdigest()
    if digest != batch.sha256:
        raise Failure(f"The bytes of batch {batch.id} are damaged. See: deepchecks telemetry sent")
    click.echo(body, nl=False)
    click.echo(f"batch {batch.id}: {len(body)} bytes, sha256 {digest}", err=True)
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
