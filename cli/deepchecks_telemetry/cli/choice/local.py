"""`local`: turn telemetry on for this user, but upload nothing."""

import click

from deepchecks_telemetry.cli.choice.effect import echo_mode
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import LOCAL
from deepchecks_telemetry.spool.files.paths import find_home


@click.command()
def local() -> None:
    """Turn telemetry on, but upload nothing.

    Counts stay on this machine unless you export them. This applies to all virtual environments of this user. The
    commands deliver and collector are not affected, because they handle the counts of other machines.

    \b
    Example:
      deepchecks telemetry local
    """
    home = find_home()
    choose(home, LOCAL)
    echo_mode(home, LOCAL)
