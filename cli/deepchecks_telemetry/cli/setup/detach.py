"""`detach`: remove the file that `attach` wrote."""

import click

from deepchecks_telemetry.cli.output import echo_line
from deepchecks_telemetry.hooks.pth.file import remove_file


@click.command()
def detach() -> None:
    """Undo attach: stop counting in this virtual environment.

    Recorded counts are kept, and other virtual environments are not changed. Programs that call attach() themselves
    continue to count. To turn telemetry off and wipe the counts, use disable.

    \b
    Example:
      deepchecks telemetry detach
    """
    removed = remove_file()
    echo_line(f"Detached this environment; removed {removed}" if removed else "This environment was not attached.")
