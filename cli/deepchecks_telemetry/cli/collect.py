"""`collector serve`, `load` and `report`: the embedded receiver, and what it counted."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from deepchecks_telemetry.cli.errors import Failure, Group
from deepchecks_telemetry.cli.output import count_text, json_option, plain, say_json, say_line, say_table

if TYPE_CHECKING:
    from deepchecks_telemetry.collector import Report

FILE = click.Path(dir_okay=False, path_type=Path)
STORE = click.option(
    "--store", type=FILE, default=Path("collector.db"), show_default=True, help="The collector's SQLite file."
)
MIN_CELL = 5
PROBLEMS_SHOWN = 10
TITLES = {
    "event": "event",
    "version": "deepchecks",
    "os": "system",
    "python": "Python",
    "runtime": "runtime",
    "lateness": "received after",
    "day": "day (UTC)",
}


@click.group(cls=Group)
def collector() -> None:
    """Receive counts on one machine or network, and report them.

    \b
    Examples:
      deepchecks telemetry collector serve
      deepchecks telemetry collector report
    """


@collector.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=4318, show_default=True, help="The port to listen on; 0 picks a free one.")
@STORE
@click.option(
    "--token",
    envvar="DEEPCHECKS_COLLECTOR_TOKEN",
    show_envvar=True,
    help="Accept only requests with this bearer token. Prefer the variable, which other users cannot read.",
)
def serve(*, host: str, port: int, store: Path, token: str | None) -> None:
    """Receive OTLP/HTTP logs until stopped, and store each row once.

    \b
    Example:
      deepchecks telemetry collector serve --store counts.db
    """
    from deepchecks_telemetry.collector import serve as run

    run(store, host=host, port=port, token=token, announce=lambda url: click.echo(f"Listening on {url}"))


@collector.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH...")
@STORE
def load(*, paths: tuple[Path, ...], store: Path) -> None:
    """Load exported files, or directories of them; each row once.

    A line that is not a valid request is reported and skipped; the exit code is then 1.

    \b
    Example:
      deepchecks telemetry collector load /media/usb --store counts.db
    """
    from deepchecks_telemetry.collector import load as take

    found = take(store, paths)
    rows = f"{count_text(found.new, 'new row')}, {found.repeated:,} already stored, {found.refused:,} rejected"
    click.echo(f"{count_text(found.files, 'file')}: {rows}")
    for problem in found.problems[:PROBLEMS_SHOWN]:
        click.echo(plain(problem), err=True)
    if found.wrong_lines:
        raise Failure(f"{count_text(found.wrong_lines, 'line')} contained data that was not stored. See above.")


@collector.command()
@STORE
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--html", "as_html", is_flag=True, help="Print an HTML page.")
@click.option(
    "--min-cell",
    type=click.IntRange(min=1),
    help=f"Merge values with fewer installations than this into 'other'. [default: {MIN_CELL} with --csv and --html]",
)
def report(*, store: Path, as_json: bool, as_csv: bool, as_html: bool, min_cell: int | None) -> None:
    """Report the received events and installations by each field.

    \b
    Examples:
      deepchecks telemetry collector report --store counts.db
      deepchecks telemetry collector report --html > report.html
    """
    from deepchecks_telemetry import collector as room

    if as_json + as_csv + as_html > 1:
        raise click.UsageError("Choose one of --json, --csv and --html.")
    exported = as_csv or as_html  # what is handed on; JSON is for the scripts of whoever holds the store
    found = room.report(store, min_cell=min_cell or (MIN_CELL if exported else 1))
    if as_json:
        say_json(found.as_dict())
    elif exported:
        click.echo(room.as_csv(found) if as_csv else room.as_html(found), nl=False)
    else:
        _say(found)


def _say(found: "Report") -> None:
    total = found.total
    events, rows = count_text(total.events, "event"), count_text(total.rows, "row")
    say_line(f"{events} in {rows} from {count_text(total.installations, 'installation')}")
    for name, title in TITLES.items():
        if cells := found.by[name]:
            click.echo()
            lines = [(value, cell.events, cell.installations) for value, cell in cells.items()]
            say_table((title, "events", "installations"), lines)
    if found.retention:
        _say_retention(found.retention)


def _say_retention(cohorts: dict[str, list[int | None]]) -> None:
    click.echo()
    say_line("Installations by the week they were first seen, and how many were seen +N weeks later")
    weeks = max(map(len, cohorts.values()))
    lines = [
        (cohort, *("" if seen is None else seen for seen in row), *[""] * (weeks - len(row)))
        for cohort, row in cohorts.items()
    ]
    say_table(("week of", *(f"+{week}" for week in range(weeks))), lines)
