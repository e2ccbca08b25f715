"""`inspect`: the counts that are not sent yet, the raw events, or the rows of a query."""

from collections.abc import Sequence
from typing import Any

import click

from deepchecks_telemetry.cli.output import day_text, echo_json, echo_table, escape_control_chars, json_option
from deepchecks_telemetry.cli.show.query import read_events, run_query
from deepchecks_telemetry.spool.catalogue import FIELDS, Environment
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.stats import UnsentCount, read_unsent

ENVIRONMENT = "deepchecks, system, python, runtime"


@click.command()
@click.option("--events", "raw", is_flag=True, help="List each raw event, before aggregation into counts.")
@click.option("--sql", metavar="QUERY", help="Run a read-only SQL query on the spool.")
@json_option
def inspect(*, raw: bool, sql: str | None, as_json: bool) -> None:
    """List counts that are not sent yet, by day, event and fields.

    Days are UTC; catalogue lists the fields. A query can read all tables of the spool, the SQLite file with the counts,
    and the table catalogue, which has the columns number and name of each event.

    \b
    Examples:
      deepchecks telemetry inspect
      deepchecks telemetry inspect --events --json
      deepchecks telemetry inspect --sql "SELECT name, sql FROM sqlite_master"
    """
    if raw and sql is not None:
        raise click.UsageError("--events and --sql cannot be combined.")
    home = find_home()
    if raw:
        _echo_events(read_events(home), as_json=as_json)
    elif sql is not None:
        _echo_rows(run_query(home, sql), as_json=as_json)
    else:
        _echo_counts(read_unsent(home), as_json=as_json)


def _echo_counts(counts: list[UnsentCount], *, as_json: bool) -> None:
    if as_json:
        echo_json([_count_dict(row) for row in counts])
        return
    headers = ("day (UTC)", "event", "count", ENVIRONMENT, "state")
    rows = [(day_text(row.day), row.event, row.count, _text(row.environment), row.state) for row in counts]
    _echo_table(headers, rows, "Nothing is pending.")


def _count_dict(row: UnsentCount) -> dict[str, object]:
    environment = row.environment._asdict()
    return {"day": day_text(row.day), "event": row.event, **environment, "count": row.count, "state": row.state}


def _echo_events(events: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        echo_json(events)
        return
    environments = [Environment(*(event[field.name] for field in FIELDS)) for event in events]
    rows = [
        (event["id"], event["day"], event["event"], _text(environment))
        for event, environment in zip(events, environments, strict=True)
    ]
    nothing = "There are no raw events; pending ones may already be aggregated into counts."
    _echo_table(("id", "day (UTC)", "event", ENVIRONMENT), rows, nothing)


def _echo_rows(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        echo_json(rows)
    else:
        headers = tuple(map(escape_control_chars, rows[0])) if rows else ()
        _echo_table(headers, [tuple(row.values()) for row in rows], "No rows.")


def _echo_table(headers: Sequence[str], rows: Sequence[Sequence[object]], nothing: str) -> None:
    if rows:
        echo_table(headers, rows)
    else:
        click.echo(nothing)


def _text(environment: Environment) -> str:
    # One column, because the widest column is narrowed on a narrow terminal, and it is wrapped between words.
    system = f"{environment.os_name} {environment.os_version}"
    return f"{environment.deepchecks_version}, {system}, {environment.python_version}, {environment.runtime}"
