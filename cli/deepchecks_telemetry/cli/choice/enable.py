"""`enable`: turn telemetry on for this user; counts are sent if an endpoint is set."""

import os
from collections.abc import Sequence
from typing import BinaryIO

import click

from deepchecks_telemetry.cli.choice.effect import echo_effect, echo_mode
from deepchecks_telemetry.cli.errors import CliError, sentence
from deepchecks_telemetry.cli.output import echo_line
from deepchecks_telemetry.cli.transfer.headers import headers_option, read_headers_file
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import ON
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.wipe import remove_files
from deepchecks_telemetry.uploader.endpoint import configure
from deepchecks_telemetry.uploader.errors import BadEndpoint


@click.command()
@click.option("--endpoint", metavar="URL", help="https://HOST or http://HOST (/v1/logs is appended), or file:///DIR.")
@click.option(
    "--no-endpoint", "remove_endpoint", is_flag=True, help="Remove the endpoint that you set, and its headers."
)
@click.option("--allow-http", is_flag=True, help="Allow http:// outside loopback and private networks.")
@click.option("--header", "headers", metavar="NAME=VALUE", multiple=True, help="Header to send with each request.")
@headers_option
def enable(
    *,
    endpoint: str | None,
    remove_endpoint: bool,
    allow_http: bool,
    headers: Sequence[str],
    headers_file: BinaryIO | None,
) -> None:
    """Turn telemetry on; counts are sent if an endpoint is set.

    The choice applies to all virtual environments of this user. But the use of deepchecks is counted only where
    `deepchecks telemetry attach` was run. Prints where counts are sent, or why they are not sent. Exits with 1 if the
    administrator's policy overrides your choice or your endpoint.

    Without --endpoint, the endpoint that you set earlier is kept. For a token, use --headers FILE instead of --header,
    because other users can read the command line while the command runs, and the shell stores it in its history.

    \b
    Examples:
      deepchecks telemetry enable
      deepchecks telemetry enable --endpoint https://collector.example.org
      deepchecks telemetry enable --endpoint https://gateway.example.org --headers token.txt
      deepchecks telemetry enable --no-endpoint
    """
    home, url = find_home(), None
    if remove_endpoint and endpoint is not None:
        raise click.UsageError("--endpoint and --no-endpoint cannot be combined.")
    if endpoint is None and (headers or headers_file or allow_http):
        raise click.UsageError("--header, --headers and --allow-http need --endpoint.")
    if endpoint is not None:
        try:
            all_headers = {**read_headers_file(headers_file), **dict(map(_parse_header, headers))}
            url = configure(home, endpoint, allow_http=allow_http, headers=all_headers)
        except BadEndpoint as error:
            raise click.UsageError(sentence(error)) from error
    if remove_endpoint:
        _remove_endpoint(home)
    choose(home, ON)
    echo_mode(home, ON)
    echo_effect(home, url)


def _remove_endpoint(home: Home) -> None:
    removed, left = remove_files([os.path.join(home.config, "endpoint")])
    if left:
        raise CliError(f"Could not remove {left[0]}. Check its owner and permissions.")
    echo_line(f"Removed {removed[0]}" if removed else "Nothing to remove: you have not set an endpoint.")


def _parse_header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter("expected NAME=VALUE", param_hint="--header")
    return name, value
