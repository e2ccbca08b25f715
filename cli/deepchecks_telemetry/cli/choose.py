"""`enable`, `local`, `disable`: the choice, for every environment of this user at once."""

from collections.abc import Sequence

import click

from deepchecks_telemetry.cli.errors import Failure
from deepchecks_telemetry.cli.show import count_text, json_option, say_json
from deepchecks_telemetry.spool.consent import LOCAL, ON, decide
from deepchecks_telemetry.spool.paths import Home, find_home


@click.command()
@click.option("--endpoint", metavar="URL", help="Where to send: a base URL; /v1/logs is appended.")
@click.option("--allow-http", is_flag=True, help="Accept http:// beyond this machine and private networks.")
@click.option("--header", "headers", metavar="NAME=VALUE", multiple=True, help="Sent along, for a gateway's token.")
def enable(*, endpoint: str | None, allow_http: bool, headers: Sequence[str]) -> None:
    """Record, and send where an endpoint is known.

    \b
    Examples:
      deepchecks telemetry enable
      deepchecks telemetry enable --endpoint https://collector.example.org
      deepchecks telemetry enable --endpoint https://gateway.example.org --header X-Token=abc
    """
    from deepchecks_telemetry.spool.choice import choose
    from deepchecks_telemetry.uploader.endpoint import configure

    home = find_home()
    if endpoint is None and (headers or allow_http):
        raise click.UsageError("--header and --allow-http go with --endpoint.")
    if endpoint is not None:
        url = configure(home, endpoint, allow_http=allow_http, headers=dict(map(_header, headers)))
        click.echo(f"Counts will be sent to {url}")
    choose(home, ON)
    _say_mode(home, ON)


@click.command()
def local() -> None:
    """Record and show, but never open a socket.

    \b
    Example:
      deepchecks telemetry local
    """
    from deepchecks_telemetry.spool.choice import choose

    home = find_home()
    choose(home, LOCAL)
    _say_mode(home, LOCAL)


@click.command()
@json_option
def disable(*, as_json: bool) -> None:
    """Record nothing more, and wipe what was recorded, the identifier included.

    It holds for all virtual environments of this user, at once, for running processes too.

    \b
    Example:
      deepchecks telemetry disable
    """
    from deepchecks_telemetry.spool.erasing import erase, find_residue

    home = find_home()
    wait = "An upload is in flight; waiting for it to end."
    erased = erase(home, on_wait=lambda: click.echo(wait, err=True))
    scanned, residue = find_residue(home, erased.markers)
    before = erased.before
    if as_json:
        removed = {"events": before.pending + before.sealed + before.exported, "rows": before.rows}
        removed |= {"batches": before.batches, "identifier": int(bool(before.installation_id)), "files": erased.files}
        say_json({"removed": removed, "already_delivered": before.delivered, "scanned": scanned, "residue": residue})
    else:
        click.echo("Telemetry is off, for all environments of this user.")
        click.echo(
            f"Removed: {count_text(before.pending + before.sealed + before.exported, 'event')} in "
            f"{count_text(before.rows, 'row')} and {count_text(before.batches, 'batch')}, "
            f"{'the identifier' if before.installation_id else 'no identifier (there was none)'}."
        )
        if before.delivered:
            click.echo(f"Sent before: {count_text(before.delivered, 'event')}; that cannot be taken back from here.")
        click.echo(f"Scanned {count_text(scanned, 'file')} of ours: {'no trace is left' if not residue else 'FOUND'}.")
    if residue:
        raise Failure(f"A trace is left in {', '.join(residue)}. Close what has it open and run disable again.")


def _header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter("a header is written NAME=VALUE", param_hint="--header")
    return name, value


def _say_mode(home: Home, wanted: str) -> None:
    decision = decide(home)
    click.echo(f"Telemetry is {decision.mode}, for all environments of this user.")
    if decision.mode != wanted:
        click.echo(f"Your choice is kept as {wanted}, but {decision.decided_by} says {decision.mode}.", err=True)
