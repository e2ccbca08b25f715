"""`enable` and `local`: the choice, for every environment of this user at once."""

import os
from collections.abc import Sequence
from typing import BinaryIO

import click

from deepchecks_telemetry.cli.errors import Failure, sentence
from deepchecks_telemetry.cli.headers import headers_option, read_headers_file
from deepchecks_telemetry.cli.output import say_line
from deepchecks_telemetry.spool.consent.decision import DEFAULT_CHOICE, LOCAL, ON, decide
from deepchecks_telemetry.spool.files.paths import Home, find_home, without_variables


@click.command()
@click.option("--endpoint", metavar="URL", help="Base URL to send to; /v1/logs is appended.")
@click.option("--no-endpoint", "removes", is_flag=True, help="Remove the endpoint that you set, and its headers.")
@click.option("--allow-http", is_flag=True, help="Allow http:// outside loopback and private networks.")
@click.option("--header", "headers", metavar="NAME=VALUE", multiple=True, help="Header to send with each request.")
@headers_option
def enable(
    *,
    endpoint: str | None,
    removes: bool,
    allow_http: bool,
    headers: Sequence[str],
    headers_file: BinaryIO | None,
) -> None:
    """Record, and send if an endpoint is set.

    Prints where counts are sent, or why they are not. Exits with 1 if the administrator's policy overrides your choice.

    An endpoint that you set earlier is used again, and is printed. For a secret use --headers: other users can see the
    value of --header while the command runs, and the shell keeps it in its history.

    \b
    Examples:
      deepchecks telemetry enable
      deepchecks telemetry enable --endpoint https://collector.example.org
      deepchecks telemetry enable --endpoint https://gateway.example.org --headers token.txt
      deepchecks telemetry enable --no-endpoint
    """
    from deepchecks_telemetry.cli.effect import say_effect
    from deepchecks_telemetry.spool.choice import choose
    from deepchecks_telemetry.uploader.endpoint import configure
    from deepchecks_telemetry.uploader.errors import BadEndpoint

    home, url = find_home(), None
    if removes and endpoint is not None:
        raise click.UsageError("--endpoint and --no-endpoint cannot be combined.")
    if endpoint is None and (headers or headers_file or allow_http):
        raise click.UsageError("--header, --headers and --allow-http need --endpoint.")
    if endpoint is not None:
        try:
            given = {**read_headers_file(headers_file), **dict(map(_header, headers))}
            url = configure(home, endpoint, allow_http=allow_http, headers=given)
        except BadEndpoint as error:
            raise click.UsageError(sentence(error)) from error
    if removes:
        _remove_endpoint(home)
    choose(home, ON)
    _say_mode(home, ON)
    say_effect(home, url)


def _remove_endpoint(home: Home) -> None:
    from deepchecks_telemetry.spool.wipe import remove_files

    removed, left = remove_files([os.path.join(home.config, "endpoint")])
    if left:
        raise Failure(f"Could not remove {left[0]}. Check its owner and permissions.")
    say_line(f"Removed {removed[0]}" if removed else "Nothing to remove: you have not set an endpoint.")


@click.command()
def local() -> None:
    """Record on this machine, and never send.

    \b
    Example:
      deepchecks telemetry local
    """
    from deepchecks_telemetry.spool.choice import choose

    home = find_home()
    choose(home, LOCAL)
    _say_mode(home, LOCAL)


def _header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter("expected NAME=VALUE", param_hint="--header")
    return name, value


def _say_mode(home: Home, wanted: str) -> None:
    decision = decide(home)
    where = "for all environments of this user" if home.default is None else f"by {home.mode}"
    if decision.mode == wanted:
        click.echo(f"Telemetry is {wanted}, {where}.")
    else:
        click.echo(f"Your choice is {wanted}, {where}.")
        reason = f" ({decision.reason})" if decision.reason else ""
        say_line(f"But telemetry is {decision.mode} here, decided by {decision.decided_by}{reason}.", err=True)
    if decision.decided_by == DEFAULT_CHOICE:
        say_line(
            f"To change that choice too, run: {without_variables()} deepchecks telemetry {_COMMAND[wanted]}", err=True
        )


_COMMAND = {ON: "enable", LOCAL: "local"}
