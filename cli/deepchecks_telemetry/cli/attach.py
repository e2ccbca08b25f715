"""`attach` and `detach`: whether this environment counts what a released deepchecks does; undone without a trace."""

import click

from deepchecks_telemetry.cli.output import say_line


@click.command()
def attach() -> None:
    """Record the events of deepchecks in this environment.

    Writes one file to the site-packages of this environment, which applies to each Python process that is started from
    then on. A process that does not import deepchecks imports nothing of this package.

    \b
    Example:
      deepchecks telemetry attach
    """
    from deepchecks_telemetry.hooks import deepchecks_folder, install_file, missing_targets

    say_line(f"Attached this environment; wrote {install_file()}")
    if deepchecks_folder() is None:
        say_line("deepchecks is not installed in this environment; its events are recorded once it is.", err=True)
    elif lost := sorted({target.event for target in missing_targets() if target.event}):
        say_line(
            f"The installed deepchecks differs from the supported version; some events are missed: {', '.join(lost)}.",
            err=True,
        )


@click.command()
def detach() -> None:
    """Undo attach: stop recording in this environment.

    Recorded counts are kept, and other environments are not changed. To turn telemetry off and wipe the counts, use
    disable.

    \b
    Example:
      deepchecks telemetry detach
    """
    from deepchecks_telemetry.hooks import remove_file

    removed = remove_file()
    say_line(f"Detached this environment; removed {removed}" if removed else "This environment was not attached.")
