"""`attach` and `detach`: whether this environment counts what a released deepchecks does; undone without a trace."""

import click

from deepchecks_telemetry.cli.output import say_line


@click.command()
def attach() -> None:
    """Count what deepchecks does in this environment.

    It holds from the next import on, by one file in this environment's site-packages. An interpreter that does not
    import deepchecks loads nothing of ours.

    \b
    Example:
      deepchecks telemetry attach
    """
    from deepchecks_telemetry.hooks import deepchecks_folder, install_file, missing_targets

    say_line(f"This environment is attached, by {install_file()}")
    if deepchecks_folder() is None:
        say_line("deepchecks is not installed here yet; once it is, it is counted.", err=True)
    elif lost := sorted({target.event for target in missing_targets() if target.event}):
        say_line(f"This deepchecks is not as we know it; not all is counted of: {', '.join(lost)}.", err=True)


@click.command()
def detach() -> None:
    """Undo attach: deepchecks is imported as it was released.

    What was counted stays, and other environments too; to turn all of it off and wipe it, use disable.

    \b
    Example:
      deepchecks telemetry detach
    """
    from deepchecks_telemetry.hooks import remove_file

    removed = remove_file()
    say_line(f"This environment is detached; removed {removed}" if removed else "This environment was not attached.")
