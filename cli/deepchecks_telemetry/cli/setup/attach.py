"""`attach`: count the use of the released deepchecks in this virtual environment."""

import click

from deepchecks_telemetry.cli.output import echo_line
from deepchecks_telemetry.hooks.compatibility import deepchecks_folder, missing_targets
from deepchecks_telemetry.hooks.pth.file import install_file


@click.command()
def attach() -> None:
    """Count the use of deepchecks in this virtual environment.

    Writes one file to the site-packages of the environment. Each Python process that starts afterwards runs this file;
    it loads this package only when the process imports deepchecks. Nothing is counted while telemetry is off.

    \b
    Example:
      deepchecks telemetry attach
    """
    echo_line(f"Attached this environment; wrote {install_file()}")
    if deepchecks_folder() is None:
        echo_line("deepchecks is not installed in this environment; its events are recorded once it is.", err=True)
    elif missed := sorted({target.event for target in missing_targets() if target.event}):
        difference = "The installed deepchecks differs from the supported version"
        echo_line(f"{difference}; some events are missed: {', '.join(missed)}.", err=True)
