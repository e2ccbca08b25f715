"""The command line: `deepchecks telemetry …`; a command's module is imported when the command runs."""

import io
import os
import sys
from typing import TYPE_CHECKING

import click

from deepchecks_telemetry.cli.errors import Group
from deepchecks_telemetry.cli.lazy import LazyGroup

if TYPE_CHECKING:
    from deepchecks_telemetry.cli.page.view import view

__all__ = ["deepchecks", "main", "telemetry", "view"]

CONTEXT = {"help_option_names": ["-h", "--help"]}
# In the order in which a new user needs them: the module of each, and its line in the list.
COMMANDS = {
    "status": ("status", "Show whether telemetry is on, why, and what is pending."),
    "view": ("page.view", "Show all data and settings as an HTML page in the browser."),
    "inspect": ("look", "List counts that are not sent yet, by day, event, environment."),
    "preview": ("look", "Print the exact body of the next request, byte for byte."),
    "sent": ("look", "List all batches and their outcome, or print the body of one."),
    "catalogue": ("catalogue", "List every event and field that can be recorded, and why."),
    "doctor": ("doctor", "Check for problems, and print how to fix them."),
    "enable": ("choose", "Record, and send if an endpoint is set."),
    "local": ("choose", "Record on this machine, and never send."),
    "disable": ("disable", "Stop recording, and wipe what was recorded."),
    "purge": ("purge", "Turn telemetry off, and remove all of its files for this user."),
    "attach": ("attach", "Record the events of deepchecks in this environment."),
    "detach": ("attach", "Undo attach: stop recording in this environment."),
    "flush": ("send", "Send pending counts now."),
    "export": ("courier", "Write pending counts to a file that another machine can send."),
    "deliver": ("courier", "Send exported files, and write a receipt."),
    "settle": ("courier", "Mark batches as delivered from a receipt."),
    "collector": ("collect", "Receive counts on one machine or network, and report them."),
    "tour": ("tour", "Demonstrate every step in a temporary directory."),
}


@click.group(cls=Group, context_settings=CONTEXT)
@click.version_option(package_name="deepchecks-telemetry")
def deepchecks() -> None:
    """Tools that accompany the deepchecks library.

    \b
    Example:
      deepchecks telemetry status
    """


@deepchecks.group(cls=LazyGroup, table=COMMANDS)
def telemetry() -> None:
    """Anonymous usage telemetry: inspect, send or disable it.

    \b
    Examples:
      deepchecks telemetry status
      deepchecks telemetry disable
    """


def __getattr__(name: str) -> object:
    """In a notebook `from deepchecks_telemetry.cli import view` gives the page."""
    if name == "view":
        from deepchecks_telemetry.cli.page.view import view

        return view
    raise AttributeError(name)


def main() -> None:
    """The console script; exits 0 when done, 1 when it could not, 2 for a usage error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 shows less, but it shows
    deepchecks.main(prog_name="deepchecks", color=False if os.environ.get("NO_COLOR") else None)
