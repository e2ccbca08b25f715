"""`inspect`: the counts that are not sent yet, the raw events, or the rows of a query."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any

import click

from deepchecks_telemetry.cli.output import (
    chosen_format,
    csv_option,
    day_text,
    echo_table,
    escape_control_chars,
    json_option,
    nl_option,
)
from deepchecks_telemetry.cli.show.query import read_events, run_query
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.stats import EventCount, read_unsent

ENVIRONMENT = "deepchecks, system, python, runtime"
Row = dict[str, Any]
Table = tuple[Sequence[str], Sequence[Sequence[object]]]  # headers, cells


@click.command()
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), metavar="DAY", help="Only this UTC day and later ones.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the N newest.")
@click.option("--events", "raw", is_flag=True, help="List each raw event, before aggregation into counts.")
@click.option("--sql", metavar="QUERY", help="Run a read-only SQL query on the spool.")
@csv_option
@json_option
@nl_option
def inspect(*, since: datetime | None, limit: int | None, raw: bool, sql: str | None, **formats: bool) -> None:
    """List counts that are not sent yet, newest first.

    There is one count for each day, event and combination of field values (see catalogue). A DAY is a UTC day, as
    YYYY-MM-DD. A QUERY can read all tables of the spool (the SQLite file with the counts), and the table "catalogue",
    which has the number and the name of each event.

    \b
    Examples:
      deepchecks telemetry inspect --since 2026-01-31 --csv
      deepchecks telemetry inspect --events --json
      deepchecks telemetry inspect --sql "SELECT name, sql FROM sqlite_master"
    """
    if sql is not None and (raw or since or limit):
        raise click.UsageError("--sql cannot be combined with --events, --since or --limit.")
    echo = partial(_echo, write=chosen_format(formats))
    home, first_day = find_home(), "" if since is None else since.strftime("%Y-%m-%d")
    if sql is not None:
        echo(run_query(home, sql), _as_table, "No rows.")
    elif raw:
        nothing = "There are no raw events; pending ones may already be aggregated into counts."
        echo(_newest(reversed(read_events(home)), first_day, limit), _event_table, nothing)
    else:
        counts = map(_count_dict, reversed(read_unsent(home)))
        nothing = f"Nothing of {first_day} or later is pending." if first_day else "Nothing is pending."
        echo(_newest(counts, first_day, limit), _count_table, nothing)


def _newest(rows: Iterable[Row], first_day: str, limit: int | None) -> list[Row]:
    return list(islice((row for row in rows if str(row["day"]) >= first_day), limit))


def _echo(
    rows: list[Row], table: Callable[[list[Row]], Table], nothing: str, *, write: Callable[[list[Row]], None] | None
) -> None:
    if write:
        write(rows)
    elif rows:
        echo_table(*table(rows), paged=True)
    else:
        click.echo(nothing)


def _count_dict(row: EventCount) -> Row:
    environment = row.environment._asdict()
    return {"day": day_text(row.day), "event": row.event, **environment, "count": row.count, "state": row.state}


def _count_table(rows: list[Row]) -> Table:
    cells = [(row["day"], row["event"], row["count"], _environment(row), row["state"]) for row in rows]
    return ("day (UTC)", "event", "count", ENVIRONMENT, "state"), cells


def _event_table(rows: list[Row]) -> Table:
    cells = [(row["id"], row["day"], row["event"], _environment(row)) for row in rows]
    return ("id", "day (UTC)", "event", ENVIRONMENT), cells


def _as_table(rows: list[Row]) -> Table:
    return tuple(map(escape_control_chars, rows[0])), [tuple(row.values()) for row in rows]


def _environment(row: Row) -> str:
    # One column, because the widest column is narrowed on a narrow terminal, and it is wrapped between words.
    system = f"{row['os_name']} {row['os_version']}"
    return f"{row['deepchecks_version']}, {system}, {row['python_version']}, {row['runtime']}"
