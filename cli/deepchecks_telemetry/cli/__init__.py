"""The command line: `deepchecks telemetry …`; each command imports what it needs when it runs."""

import io
import os
import sys

import click

from deepchecks_telemetry.cli.attach import attach, detach
from deepchecks_telemetry.cli.catalogue import catalogue
from deepchecks_telemetry.cli.choose import enable, local
from deepchecks_telemetry.cli.collect import collector
from deepchecks_telemetry.cli.courier import deliver, export, settle
from deepchecks_telemetry.cli.disable import disable
from deepchecks_telemetry.cli.doctor import doctor
from deepchecks_telemetry.cli.errors import Group
from deepchecks_telemetry.cli.look import inspect, preview, sent
from deepchecks_telemetry.cli.purge import purge
from deepchecks_telemetry.cli.send import flush
from deepchecks_telemetry.cli.status import status
from deepchecks_telemetry.cli.tour import tour
from deepchecks_telemetry.cli.view import view

__all__ = ["deepchecks", "main", "view"]

CONTEXT = {"help_option_names": ["-h", "--help"]}
# In the order in which a new user needs them.
COMMANDS: tuple[click.Command, ...] = (
    *(status, view, inspect, preview, sent, catalogue, doctor),
    *(enable, local, disable, purge),
    *(attach, detach),
    *(flush, export, deliver, settle),
    *(collector, tour),
)


@click.group(cls=Group, context_settings=CONTEXT)
@click.version_option(package_name="deepchecks-telemetry")
def deepchecks() -> None:
    """Tools that accompany the deepchecks library.

    \b
    Example:
      deepchecks telemetry status
    """


@deepchecks.group(cls=Group)
def telemetry() -> None:
    """Anonymous usage telemetry: inspect, send or disable it.

    \b
    Examples:
      deepchecks telemetry status
      deepchecks telemetry disable
    """


for command in COMMANDS:
    telemetry.add_command(command)


def main() -> None:
    """The console script; exits 0 when done, 1 when it could not, 2 for a usage error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 shows less, but it shows
    deepchecks.main(prog_name="deepchecks", color=False if os.environ.get("NO_COLOR") else None)
