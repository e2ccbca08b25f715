"""`enable`, `local`, `disable`: the choice, for every environment of this user at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from deepchecks_telemetry.cli.errors import Failure, sentence
from deepchecks_telemetry.cli.headers import headers_option, read_headers_file
from deepchecks_telemetry.cli.output import count_text, json_option, say_json, say_line
from deepchecks_telemetry.spool.consent.decision import LOCAL, ON, decide
from deepchecks_telemetry.spool.files.paths import Home, find_home

if TYPE_CHECKING:
    from deepchecks_telemetry.spool.wipe import Erased


@click.command()
@click.option("--endpoint", metavar="URL", help="Where to send: a base URL; /v1/logs is appended.")
@click.option("--allow-http", is_flag=True, help="Accept http:// beyond this machine and private networks.")
@click.option("--header", "headers", metavar="NAME=VALUE", multiple=True, help="Sent along with each request.")
@headers_option
def enable(*, endpoint: str | None, allow_http: bool, headers: Sequence[str], headers_file: BinaryIO | None) -> None:
    """Record, and send if an endpoint is set.

    It prints where the counts are sent, or why not. Exits with 1 where the administrator's policy overrides it.

    What is given with --header can be seen by other users while the command runs, and stays in the shell's history.

    \b
    Examples:
      deepchecks telemetry enable
      deepchecks telemetry enable --endpoint https://collector.example.org
      deepchecks telemetry enable --endpoint https://gateway.example.org --headers token.txt
    """
    from deepchecks_telemetry.cli.effect import say_effect
    from deepchecks_telemetry.spool.choice import choose
    from deepchecks_telemetry.uploader.endpoint import configure
    from deepchecks_telemetry.uploader.errors import BadEndpoint

    home, url = find_home(), None
    if endpoint is None and (headers or headers_file or allow_http):
        raise click.UsageError("--header, --headers and --allow-http go with --endpoint.")
    if endpoint is not None:
        try:
            given = {**read_headers_file(headers_file), **dict(map(_header, headers))}
            url = configure(home, endpoint, allow_http=allow_http, headers=given)
        except BadEndpoint as error:
            raise click.UsageError(sentence(error)) from error
    choose(home, ON)
    _say_mode(home, ON)
    say_effect(home, url)


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
    """Record nothing more, and wipe what was recorded.

    The identifier is wiped too. It holds for all virtual environments of this user, at once, for running processes too.

    \b
    Example:
      deepchecks telemetry disable
    """
    from deepchecks_telemetry.spool.wipe import erase, find_residue

    home = find_home()
    erased = erase(home, on_wait=lambda: click.echo("An upload is in flight; waiting for it to end.", err=True))
    scanned, residue = find_residue(home, erased.markers)
    facts = {
        "removed": _removed(erased),
        "already_delivered": erased.before.delivered,
        "delivered_to": list(erased.receivers),
        "carried_away": list(erased.carried),
        "scanned": scanned,
        "residue": residue,
    }
    if as_json:
        say_json(facts)
    else:
        for line in _lines(facts):
            say_line(line)
    if residue:
        raise Failure(f"A trace is left in {', '.join(residue)}. Close what has it open and run disable again.")


def _removed(erased: "Erased") -> dict[str, int]:
    before = erased.before
    return {
        "events": before.pending + before.sealed + before.parked + before.exported,
        "rows": before.rows,
        "batches": before.batches,
        "identifiers": int(before.installation_id is not None),
        "files": erased.files,
    }


def _lines(facts: dict[str, Any]) -> list[str]:
    from deepchecks_telemetry.cli.effect import say_off

    removed = facts["removed"]
    *nouns, last = [count_text(removed[noun], noun[:-1] if noun != "batches" else "batch") for noun in removed]
    lines = [
        "Telemetry is off, for all environments of this user.",
        say_off(find_home()),
        f"Removed: {', '.join(nouns)} and {last}.",
    ]
    if facts["already_delivered"]:
        where = f" to {', '.join(facts['delivered_to'])}" if facts["delivered_to"] else ""
        lines.append(f"Sent before{where}: {count_text(facts['already_delivered'], 'event')}; that stays there.")
    if carried := facts["carried_away"]:
        lines.append(f"Exported, and no longer ours to remove: {', '.join(carried)}.")
    found = "a trace was found" if facts["residue"] else "no trace is left"
    return [*lines, f"Scanned {count_text(facts['scanned'], 'file')} of ours: {found}."]


def _header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter("a header is written NAME=VALUE", param_hint="--header")
    return name, value


def _say_mode(home: Home, wanted: str) -> None:
    decision = decide(home)
    if decision.mode == wanted:
        click.echo(f"Telemetry is {wanted}, for all environments of this user.")
    else:
        click.echo(f"Your choice is {wanted}, for all environments of this user.")
        click.echo(f"But here it is {decision.mode}: decided by {decision.decided_by}.", err=True)
