"""`local`: record in every environment of this user, and never send."""

import click

from deepchecks_telemetry.cli.choice.effect import echo_mode
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import LOCAL
from deepchecks_telemetry.spool.files.paths import find_home


@click.command()
def local() -> None:
    """Record on this machine, and never send.

    \b
    Example:
      deepchecks telemetry local
    """
    home = find_home()
    choose(home, LOCAL)
    echo_mode(home, LOCAL)
