"""`view`: all of it as one picture, in a browser or a notebook; the page loads nothing, runs nothing, sends nothing."""

import os
from pathlib import Path
from typing import Any

import click

from deepchecks_telemetry.cli.errors import Failure, tell
from deepchecks_telemetry.cli.output import plain
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.files.residue import PAGE, make_page_directory


class View(click.Command):
    """The command; and in a notebook, as `view` alone on a line, the picture itself."""

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Answer `view()` in a notebook too; with arguments it is the command, as with every other."""
        return super().__call__(*arguments, **keywords) if arguments or keywords else self

    def _repr_html_(self) -> str:
        from deepchecks_telemetry.cli.page.page import frame

        try:
            return frame(draw(find_home(), kept=True))
        except Exception as error:
            if tell(error) is None:
                raise
            # What went wrong names paths, and a notebook keeps its output.
            return frame("The page cannot be created. Run deepchecks telemetry view to see why.")


@click.command(cls=View)
@click.option("--output", metavar="FILE", help="Write the page to FILE and do not open it; - is standard output.")
def view(*, output: str | None) -> None:
    """Show all data and settings as an HTML page in the browser.

    The page is one file that loads nothing and runs no scripts. Pending counts are sealed first, as with preview. In a
    notebook: from deepchecks_telemetry.cli import view

    \b
    Examples:
      deepchecks telemetry view
      deepchecks telemetry view --output counts.html
    """
    home = find_home()
    page = draw(home)
    if output is not None:
        with click.open_file(output, "w", encoding="utf-8", atomic=output != "-") as file:
            file.write(page)
        return
    path = _write(home, page)
    click.echo(f"Wrote the page to {plain(path)}")
    if not _open(path):
        raise Failure("No browser was found. To write the page where your browser can read it: --output FILE")


def draw(home: Home, *, kept: bool = False) -> str:
    """The whole page for what is there now; one that is `kept` by others, as a notebook's output is, names no batch."""
    from deepchecks_telemetry.cli.page.facts import read_facts
    from deepchecks_telemetry.cli.page.page import page

    return page(read_facts(home), kept=kept)


def _write(home: Home, page: str) -> str:
    # Beside the spool, so that `disable` finds it; where nothing was ever recorded, looking makes no folder of ours.
    folder = home.state if os.path.isdir(home.state) else make_page_directory()
    path = os.path.join(folder, PAGE)
    if os.path.lexists(path):
        os.unlink(path)
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(page)
    return path


def _open(path: str) -> bool:
    import webbrowser

    return webbrowser.open(Path(path).as_uri())
