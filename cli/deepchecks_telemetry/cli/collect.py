"""`collector serve` and `collector report`: the embedded receiver, and what it counted."""

from pathlib import Path

import click

from deepchecks_telemetry.cli.errors import Group
from deepchecks_telemetry.cli.show import json_option, say_json, say_table

STORE = click.Path(dir_okay=False, path_type=Path)


@click.group(cls=Group)
def collector() -> None:
    """Receive and read counts on one machine or one isolated network.

    \b
    Examples:
      deepchecks telemetry collector serve
      deepchecks telemetry collector report
    """


@collector.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=4318, show_default=True, help="The port to listen on; 0 takes a free one.")
@click.option("--store", type=STORE, default=Path("collector.db"), show_default=True, help="The SQLite file to fill.")
def serve(*, host: str, port: int, store: Path) -> None:
    """Receive OTLP/HTTP logs until it is stopped, and store each row once.

    \b
    Example:
      deepchecks telemetry collector serve --store counts.db
    """
    from deepchecks_telemetry.collector import serve as run

    run(store, host=host, port=port, announce=lambda url: click.echo(f"Listening on {url}"))


@collector.command()
@click.option("--store", type=STORE, default=Path("collector.db"), show_default=True, help="The SQLite file to read.")
@json_option
def report(*, store: Path, as_json: bool) -> None:
    """What was received: events by name and by day.

    \b
    Example:
      deepchecks telemetry collector report --store counts.db
    """
    from deepchecks_telemetry.collector import report as read

    found = read(store).as_dict()
    if as_json:
        say_json(found)
        return
    click.echo(f"{found['events']:,} events in {found['rows']:,} rows from {found['installations']:,} installations")
    for key, title in (("by_event", "event"), ("by_day", "day (UTC)")):
        counts = found[key]
        if isinstance(counts, dict) and counts:
            click.echo()
            say_table((title, "events"), list(counts.items()))
