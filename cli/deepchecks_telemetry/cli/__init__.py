"""The command line `deepchecks telemetry …`; the module of a command is imported when the command runs.

choice/     enable, local, disable, purge
show/       status, inspect, preview, sent, catalogue, doctor
transfer/   flush, export, deliver, settle
setup/      attach, detach, collector, tour, help
page/       view, and the HTML page that it writes
report/     the report of a collector as text and as a page
html        writes HTML in which every text is escaped
sql         runs a query that somebody typed, read-only and limited
lazy        imports a command when it runs
errors      errors as one line with a remedy
output      tables, JSON, escaped text
__main__    `python -m deepchecks_telemetry.cli`
"""

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
# The module of each command and its line in the list, in the order in which a new user needs them.
COMMANDS = {
    "status": ("show.status", "Show whether telemetry is on, why, and what is pending."),
    "view": ("page.view", "Show all data and settings as an HTML page in the browser."),
    "inspect": ("show.inspect", "List counts that are not sent yet, newest first."),
    "preview": ("show.preview", "Print the exact body of the next request, byte for byte."),
    "sent": ("show.sent", "List batches and their outcomes, newest first, or print one."),
    "catalogue": ("show.catalogue", "List every event and field that can be recorded, and why."),
    "doctor": ("show.doctor", "Check for problems, and print how to fix them."),
    "enable": ("choice.enable", "Turn telemetry on; counts are sent if an endpoint is set."),
    "local": ("choice.local", "Turn telemetry on, but upload nothing."),
    "disable": ("choice.disable", "Turn telemetry off, and wipe what was recorded."),
    "purge": ("choice.purge", "Turn telemetry off, and remove all of its files for this user."),
    "attach": ("setup.attach", "Count the use of deepchecks in this virtual environment."),
    "detach": ("setup.detach", "Undo attach: stop counting in this virtual environment."),
    "flush": ("transfer.flush", "Send pending counts now."),
    "export": ("transfer.export", "Write pending counts to a file that another machine can send."),
    "deliver": ("transfer.deliver", "Send exported files, and write a receipt."),
    "settle": ("transfer.settle", "Read receipts, and mark their batches as delivered or rejected."),
    "collector": ("setup.collector", "Run a receiver for one machine or network, and report its counts."),
    "tour": ("setup.tour", "Demonstrate every step in a temporary directory."),
    "help": ("setup.help", "Print the help of a command, the environment variables or the files."),
}
ALIASES = {"on": "enable", "off": "disable"}
DOCUMENTATION = "https://github.com/deepchecks/deepchecks-telemetry/tree/main/docs"


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's callback
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version  # 30 ms, a third of `status`

    try:
        library = f"deepchecks {version('deepchecks')}"
    except PackageNotFoundError:
        library = "deepchecks is not installed"
    click.echo(f"deepchecks-telemetry {version('deepchecks-telemetry')}, {library}")
    ctx.exit()


@click.group(cls=Group, context_settings=CONTEXT)
@click.option(
    *("--version", "-V"),
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the versions of deepchecks-telemetry and of deepchecks.",
)
def deepchecks() -> None:
    """Tools that accompany the deepchecks library.

    \b
    Example:
      deepchecks telemetry status
    """


@deepchecks.group(cls=LazyGroup, table=COMMANDS, aliases=ALIASES, epilog=f"Documentation: {DOCUMENTATION}")
def telemetry() -> None:
    """Anonymous usage telemetry: inspect, send or disable it.

    Instead of enable and disable, you can also write on and off.

    \b
    Examples:
      deepchecks telemetry status
      deepchecks telemetry disable
    """


def __getattr__(name: str) -> object:
    """Import `view` on first use, so that no other command imports the page."""
    if name == "view":
        from deepchecks_telemetry.cli.page.view import view

        return view
    raise AttributeError(name)


def main() -> None:
    """The console script; exits with 0 when done, 1 on failure, 2 on a usage error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A character that the terminal's encoding lacks is escaped. Windows would write files and pipes in the code
            # page of the system, but the HTML of a report declares UTF-8, and programs expect it.
            encoding = "utf-8" if os.name == "nt" and not stream.isatty() else None
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
    deepchecks.main(prog_name="deepchecks", color=False if os.environ.get("NO_COLOR") else None)
