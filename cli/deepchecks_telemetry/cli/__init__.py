"""The command line: `deepchecks telemetry …`; each command imports what it needs when it runs."""

import sys

import click

from deepchecks_telemetry.cli.choose import disable, enable, local
from deepchecks_telemetry.cli.collect import collector
from deepchecks_telemetry.cli.errors import Group
from deepchecks_telemetry.cli.look import catalogue, inspect, preview, sent
from deepchecks_telemetry.cli.send import flush
from deepchecks_telemetry.cli.status import status
from deepchecks_telemetry.cli.tour import tour

__all__ = ["main"]

CONTEXT = {"help_option_names": ["-h", "--help"]}


@click.group(cls=Group, context_settings=CONTEXT)
@click.version_option(package_name="deepchecks-telemetry")
def deepchecks() -> None:
    """What Deepchecks does beside checking."""


@deepchecks.group(cls=Group)
def telemetry() -> None:
    """Anonymous usage counts: see them, send them, turn them off."""


for command in (status, enable, local, disable, catalogue, inspect, preview, flush, sent, collector, tour):
    telemetry.add_command(command)


def main() -> None:
    """The console script; exits 0 when done, 1 when it could not, 2 for a usage error."""
    sys.exit(deepchecks.main(prog_name="deepchecks", standalone_mode=True))
