"""`view`: all data and settings as an HTML page, in a browser or a notebook; it loads, runs and sends nothing."""

import os
from pathlib import Path
from typing import Any

import click

from deepchecks_telemetry.cli.errors import to_cli_error
from deepchecks_telemetry.cli.output import echo_line, escape_control_chars
from deepchecks_telemetry.cli.page.data import read_page_data
from deepchecks_telemetry.cli.page.page import frame, page
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.files.residue import PAGE, make_page_directory

OTHER_PLACE = (
    "Open that file, or write the page where your browser can read it: deepchecks telemetry view --output FILE"
)


class View(click.Command):
    """The command; in a notebook, `view` alone on a line shows the page."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the command itself for `view()` in a notebook; with arguments, run it as any other command."""
        return super().__call__(*args, **kwargs) if args or kwargs else self

    def _repr_html_(self) -> str:
        try:
            return frame(render(find_home(), notebook=True))
        except Exception as error:
            if to_cli_error(error) is None:
                raise
            # The error contains paths, and a notebook keeps its output.
            return frame("The page cannot be created. Run deepchecks telemetry view to see why.")


@click.command(cls=View)
@click.option("--output", metavar="FILE", help="Write the page to FILE and do not open it; - is standard output.")
def view(*, output: str | None) -> None:
    """Show all data and settings as an HTML page in the browser.

    The page is one file that loads nothing and runs no scripts. Its path is printed, also if there is no browser. To
    show the next request, it first seals pending counts into a batch, as the command preview does. In a notebook, run
    "from deepchecks_telemetry.cli import view"; a cell that contains only "view" then shows the page.

    \b
    Examples:
      deepchecks telemetry view
      deepchecks telemetry view --output counts.html
    """
    home = find_home()
    document = render(home)
    if output is not None:
        with click.open_file(output, "w", encoding="utf-8", atomic=output != "-") as file:
            file.write(document)
        return
    path = _write(home, document)
    click.echo(f"Wrote the page to {escape_control_chars(path)}")
    if not _open(path):
        echo_line(f"No browser was found. {OTHER_PLACE}", err=True)


def render(home: Home, *, notebook: bool = False) -> str:
    """The page of the current data; for a `notebook`, which keeps its output, without identifiers and paths."""
    return page(read_page_data(home), notebook=notebook)


def _write(home: Home, document: str) -> str:
    # Beside the spool, so that `disable` finds it; without a spool, in a temporary directory, so that none is created.
    folder = home.state if os.path.isdir(home.state) else make_page_directory()
    path = os.path.join(folder, PAGE)
    if os.path.lexists(path):
        os.unlink(path)
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(document)
    return path


def _open(path: str) -> bool:
    import webbrowser  # heavy, and not needed with --output

    return webbrowser.open(Path(path).as_uri())
