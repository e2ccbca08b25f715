"""Showing things: tables for people, JSON for scripts, and no terminal control sequence from a stored text."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone

import click

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a script.")


def say_json(value: object) -> None:
    """Print one JSON document, with its keys in their order."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=True))


def say_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print an aligned table; every cell is printed as text, control characters as they are written in Python."""
    from tabulate import tabulate

    shown = [[cell if isinstance(cell, int) else plain(str(cell)) for cell in row] for row in rows]
    click.echo(tabulate(shown, headers=headers, tablefmt="simple", disable_numparse=True, colalign=_aligned(shown)))


def plain(text: str) -> str:
    """The text with nothing in it that moves a cursor or colours a line."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _aligned(rows: Sequence[Sequence[object]]) -> list[str] | None:
    return ["right" if isinstance(cell, int) else "left" for cell in rows[0]] if rows else None


def day_text(day: int) -> str:
    """A UTC day, counted from 1970-01-01, as YYYY-MM-DD."""
    return f"{EPOCH + timedelta(days=day):%Y-%m-%d}" if abs(day) < 2_000_000 else str(day)


def time_text(seconds: int | None) -> str | None:
    """A moment in Unix seconds as ISO 8601 in UTC."""
    return None if seconds is None else f"{EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


def count_text(number: int, singular: str) -> str:
    """A number with its noun."""
    return f"{number:,} {singular}{'' if number == 1 else 's' if not singular.endswith('ch') else 'es'}"
