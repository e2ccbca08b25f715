"""`collector serve`, `load` and `report`: run the embedded receiver, load files, report what it stored."""

from datetime import datetime
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from deepchecks_telemetry.cli.errors import CliError, Group, interruptible
from deepchecks_telemetry.cli.output import (
    count_text,
    echo_csv,
    echo_json,
    echo_line,
    echo_paged,
    echo_table,
    escape_control_chars,
    json_option,
    progress_bar,
)
from deepchecks_telemetry.cli.report.page import as_html
from deepchecks_telemetry.cli.report.text import as_text
from deepchecks_telemetry.cli.sql import run_read_only
from deepchecks_telemetry.collector import BY, MIN_CELL, Options, ReportError, as_csv, reading
from deepchecks_telemetry.collector import load as load_paths
from deepchecks_telemetry.collector import report as read_report
from deepchecks_telemetry.collector import serve as run_server
from deepchecks_telemetry.collector.loader import find_files
from deepchecks_telemetry.spool.catalogue import EVENT_NUMBERS

FILE = click.Path(dir_okay=False, path_type=Path)
STORE = click.option(
    "--store", type=FILE, default=Path("collector.db"), show_default=True, help="The collector's SQLite file."
)
MAX_PROBLEMS_SHOWN = 10
LONG_BYTES = 2**20  # takes a quarter of a second
LONG_ROWS = 10**6  # take a second
NO_TOKEN = "no token is set: other machines can add counts. Set DEEPCHECKS_COLLECTOR_TOKEN."  # noqa: S105
DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.group(cls=Group)
def collector() -> None:
    """Run a receiver for one machine or network, and report its counts.

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
    help="Accept only requests with this bearer token. Set the variable instead: other users can read command lines.",
)
@click.option(
    "--log-requests",
    is_flag=True,
    help="Print a line for each request to standard error, without the address of the sender.",
)
def serve(*, host: str, port: int, store: Path, token: str | None, log_requests: bool) -> None:
    """Receive OTLP/HTTP logs until stopped, and store each row once.

    A line of the log has the time, the method, the path, the status, the bytes that were read of the body, and the
    milliseconds that the response took.

    \b
    Example:
      deepchecks telemetry collector serve --store counts.db
    """

    def announce(url: str) -> None:
        click.echo(f"Listening on {url}")
        click.echo(f"Storing in {escape_control_chars(str(store.absolute()))}")
        address = urlsplit(url).hostname or ""
        if token is None and not ip_address(address).is_loopback:
            echo_line(f"Warning: {address} is not a loopback address, and {NO_TOKEN}", err=True)

    log = partial(click.echo, err=True) if log_requests else None
    run_server(store, host=host, port=port, token=token, announce=announce, log=log)


@collector.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH...")
@STORE
def load(*, paths: tuple[Path, ...], store: Path) -> None:
    """Load exported files and directories, and store each row once.

    A line that is not a valid request is reported and skipped; the exit code is then 1.

    \b
    Example:
      deepchecks telemetry collector load /media/usb --store counts.db
    """
    files = find_files(paths)
    size_bytes = sum(file.stat().st_size for file in files)
    with (
        interruptible(f"The rows of each line that was read stay in {store}."),
        progress_bar("Loading", size_bytes, least=LONG_BYTES) as advance,
    ):
        loaded = load_paths(store, files, progress=advance)
    rows = f"{count_text(loaded.new, 'new row')}, {loaded.repeated:,} already stored, {loaded.rejected:,} rejected"
    click.echo(f"{count_text(loaded.files, 'file')}: {rows}")
    for problem in loaded.problems[:MAX_PROBLEMS_SHOWN]:
        click.echo(escape_control_chars(problem), err=True)
    if loaded.wrong_lines:
        raise CliError(f"{count_text(loaded.wrong_lines, 'line')} contained data that was not stored. See above.")


@collector.command()
@STORE
@click.option(
    "--since",
    type=DAY,
    metavar="DAY",
    help="The first day, such as 2026-01-31. [default: all; with --by day, the last 31]",
)
@click.option("--until", type=DAY, metavar="DAY", help="The last day.")
@click.option("--by", type=click.Choice(BY), default="week", show_default=True, help="The length of the periods.")
@click.option("--event", type=click.Choice(list(EVENT_NUMBERS)), metavar="EVENT", help="Count only this event.")
@click.option("--version", metavar="VERSION", help="Count only this version of deepchecks.")
@click.option("--long", is_flag=True, help="Print all periods and values; a terminal shows them in a pager.")
@json_option
@click.option("--csv", is_flag=True, help="Print CSV.")
@click.option("--html", is_flag=True, help="Print an HTML page with charts; needs the extra [collector].")
@click.option(
    "--min-cell",
    metavar="N",
    type=click.IntRange(min=1),
    help="Round each number of installations down to a multiple of N, and leave out all numbers of events. "
    f"[default: {MIN_CELL} with --csv and --html]",
)
@click.option("--sql", metavar="QUERY", help="Run a read-only SQL query on the store. Its results are not rounded.")
def report(
    *,
    store: Path,
    as_json: bool,
    csv: bool,
    html: bool,
    long: bool,
    min_cell: int | None,
    sql: str | None,
    **chosen: Any,
) -> None:
    """Report how many installations are active, and what they use.

    A range is extended to whole periods. Events, versions and other fields are counted in the last 28 days, or with
    --since in the whole range. With --sql, a query can read all tables and these views: weekly_active,
    monthly_active, daily_active, adoption, retention, funnel, usage, rows.

    \b
    Examples:
      deepchecks telemetry collector report --store counts.db
      deepchecks telemetry collector report --html > report.html
      deepchecks telemetry collector report --since 2026-01-01 --by month --event run-suite
      deepchecks telemetry collector report --sql "SELECT * FROM weekly_active"
    """
    if as_json + csv + html > 1:
        raise click.UsageError("Choose one of --json, --csv and --html.")
    if sql is not None:
        _check_no_other_options(html=html, min_cell=min_cell, **chosen)
        _echo_query(store, sql, as_json=as_json, csv=csv)
        return
    published = csv or html  # JSON is for the scripts of the store's owner
    least = min_cell or (MIN_CELL if published else 1)
    try:
        progress = partial(progress_bar, "Reading rows", least=LONG_ROWS)
        result = read_report(store, _options(least, **chosen), progress=progress)
    except ReportError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        echo_json(result.as_dict())
    elif published:
        click.echo(as_csv(result) if csv else as_html(result), nl=False)
    else:
        (echo_paged if long else click.echo)(as_text(result, long=long))


def _check_no_other_options(*, html: bool, min_cell: int | None, by: str, **chosen: object) -> None:
    if html or min_cell is not None or by != "week" or any(chosen.values()):
        raise click.UsageError("--sql can only be combined with --store, --json and --csv: a query sees every count.")


def _options(min_cell: int, *, since: datetime | None, until: datetime | None, **chosen: Any) -> Options:
    return Options(since and since.date(), until and until.date(), min_cell=min_cell, **chosen)


def _echo_query(store: Path, sql: str, *, as_json: bool, csv: bool) -> None:
    with reading(store) as connection:
        rows = run_read_only(connection, sql)
    if as_json or csv:
        (echo_json if as_json else echo_csv)(rows)
    elif rows:
        echo_table(tuple(rows[0]), [tuple(row.values()) for row in rows])
    else:
        click.echo("No rows.")
