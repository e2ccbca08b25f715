"""`preview`: the exact body of the next request, and whether and where it is sent."""

import time

import click

from deepchecks_telemetry.cli.output import escape_control_chars
from deepchecks_telemetry.cli.show.sent import echo_body
from deepchecks_telemetry.spool.consent.decision import LOCAL, ON
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.stats import read_unsent
from deepchecks_telemetry.uploader.flush import seal_next
from deepchecks_telemetry.uploader.plan.decision import Command, plan
from deepchecks_telemetry.uploader.plan.facts import check_mode, read_facts
from deepchecks_telemetry.uploader.plan.text import summarize


@click.command()
def preview() -> None:
    """Print the exact body of the next request, byte for byte.

    Prints the body to standard output; prints its SHA-256, and whether and where it is sent, to standard error. Pending
    counts are first sealed into a batch, whose bytes no longer change.

    \b
    Examples:
      deepchecks telemetry preview
      deepchecks telemetry preview | python -m json.tool
    """
    home = find_home()
    check_mode(home, ON, LOCAL)
    unsent = read_unsent(home)
    batch = seal_next(home) if unsent else None
    if batch is not None:
        echo_body(batch)
    elif not unsent:
        click.echo("Nothing is pending.", err=True)
    now = time.time()
    click.echo(escape_control_chars(summarize(plan(read_facts(home, now), Command.REPORT, now))), err=True)
